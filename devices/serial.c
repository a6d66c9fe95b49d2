/* SPDX-License-Identifier: MIT */
#include "devices/serial.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <stdint.h>
#include <string.h>

#include "common/state.h"

struct serial_state {
	uint8_t ier, lcr, mcr, scr, dll, dlm;
};

struct serial {
	struct device dev;
	struct serial_state state;
	serial_output_fn output;
	void *owner;
};

static uint8_t serial_register(const struct serial_state *s, uint64_t off)
{
	switch (off) {
	case UART_RX:
		return s->lcr & UART_LCR_DLAB ? s->dll : 0;
	case UART_IER:
		return s->lcr & UART_LCR_DLAB ? s->dlm : s->ier;
	case UART_IIR:
		return UART_IIR_NO_INT;
	case UART_LCR:
		return s->lcr;
	case UART_MCR:
		return s->mcr;
	case UART_LSR:
		return UART_LSR_TEMT | UART_LSR_THRE;
	case UART_MSR:
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	default:
		return s->scr;
	}
}

static void serial_read(struct device *dev, unsigned int window, uint64_t off, void *data,
			unsigned int len)
{
	struct serial *s = CONTAINER_OF(dev, struct serial, dev);
	uint8_t *p = data;

	(void)window;
	for (unsigned int i = 0; i < len; i++)
		p[i] = serial_register(&s->state, off + i);
}

static void serial_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
			 unsigned int len)
{
	struct serial *s = CONTAINER_OF(dev, struct serial, dev);
	struct serial_state *st = &s->state;
	uint8_t v = *(const uint8_t *)data;

	(void)window;
	if (len != 1)
		return;
	switch (off) {
	case UART_TX:
		if (st->lcr & UART_LCR_DLAB)
			st->dll = v;
		else
			s->output(s->owner, &v, 1);
		break;
	case UART_IER:
		if (st->lcr & UART_LCR_DLAB)
			st->dlm = v;
		else
			st->ier = v & 0xf;
		break;
	case UART_LCR:
		st->lcr = v;
		break;
	case UART_MCR:
		st->mcr = v;
		break;
	case UART_SCR:
		st->scr = v;
		break;
	default:
		break;
	}
}

static void serial_save(struct device *dev, struct state_writer *w)
{
	const struct serial_state *st = &CONTAINER_OF(dev, struct serial, dev)->state;
	const uint8_t regs[] = {st->ier, st->lcr, st->mcr, st->scr, st->dll, st->dlm};

	state_put_mark(w, STATE_MARK('S', 'E', 'R', 'I'));
	state_put(w, regs, sizeof(regs));
}

static void serial_load(struct device *dev, struct state_reader *r)
{
	uint8_t regs[6] = {0};

	state_get_mark(r, STATE_MARK('S', 'E', 'R', 'I'));
	state_get(r, regs, sizeof(regs));
	CONTAINER_OF(dev, struct serial, dev)->state = (struct serial_state){
		.ier = regs[0] & 0xf,
		.lcr = regs[1],
		.mcr = regs[2],
		.scr = regs[3],
		.dll = regs[4],
		.dlm = regs[5],
	};
}

static void serial_destroy(struct device *dev)
{
	struct serial *s = CONTAINER_OF(dev, struct serial, dev);

	device_fini(dev);
	free(s);
}

static const struct device_ops serial_ops = {
	.name = "serial",
	.read = serial_read,
	.write = serial_write,
	.save = serial_save,
	.load = serial_load,
	.destroy = serial_destroy,
};

int serial_new(serial_output_fn output, void *owner, struct device **out)
{
	struct serial *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	device_init(&s->dev, &serial_ops);
	s->output = output;
	s->owner = owner;
	*out = &s->dev;
	return 0;
}
