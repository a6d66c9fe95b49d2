/* SPDX-License-Identifier: MIT */
#include "vmm/start_line.h"

void start_line_init(struct start_line *l, pid_t renderer)
{
	*l = (struct start_line){.renderer = renderer};
	pthread_mutex_init(&l->lock, NULL);
	pthread_cond_init(&l->changed, NULL);
}

int start_line_arrive(struct start_line *l, enum policy_role role)
{
	int r = policy_load(role, l->renderer);

	pthread_mutex_lock(&l->lock);
	if (l->error == 0)
		l->error = r;
	l->arrived++;
	pthread_cond_broadcast(&l->changed);
	while (!l->open)
		pthread_cond_wait(&l->changed, &l->lock);
	r = l->error;
	pthread_mutex_unlock(&l->lock);
	return r;
}

int start_line_open(struct start_line *l, unsigned int n, enum policy_role role, int error)
{
	pthread_mutex_lock(&l->lock);
	while (l->arrived < n)
		pthread_cond_wait(&l->changed, &l->lock);
	if (error < 0)
		l->error = error;
	if (l->error == 0)
		l->error = policy_load(role, l->renderer);
	l->open = true;
	error = l->error;
	pthread_cond_broadcast(&l->changed);
	pthread_mutex_unlock(&l->lock);
	return error;
}
