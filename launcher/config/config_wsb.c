/* SPDX-License-Identifier: MIT */
/*
 * DOC: Windows Sandbox files (.wsb)
 *
 * The elements are those of Microsoft's documentation of Windows Sandbox, in
 * any letter case, as its own samples have them. The XML parser is given no
 * network, no files, and no document type: it stops at a DOCTYPE, before
 * anything could be declared in it, so there are no entities but XML's five.
 *
 * Who brings such a file over wants to know all that has to be changed in it,
 * so a problem ends its element and not the file. What Windows passes over, an
 * element it does not know, is said and passed over.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "launcher/config/config_file.h"
#include "launcher/config/settings.h"
#include "launcher/config/xml_lib.h"
#include "launcher/options.h"

/* Filled when the first file is read. */
static struct xml_lib xml;

/* Elements that switch something on or off; what a sandbox has if it cannot be switched on. */
static const struct wsb_switch {
	const char *name;
	bool by_default; /* on, on Windows */
	const char *instead;
} switches[] = {
	{"AudioInput", true, "the sandbox has no microphone"},
	{"VideoInput", false, "the sandbox has no camera"},
	{"ProtectedClient", false, "the sandbox has no window that needs it"},
	{"PrinterRedirection", false, "the sandbox has no printers"},
	{"ClipboardRedirection", true, "the sandbox has no clipboard"},
};

/* What Windows raises a smaller MemoryInMB to: its least for a sandbox that starts. */
enum { WSB_MEMORY_LEAST_MB = 2048 };

static const char network_note[] =
	"the network reaches public addresses only; on Windows the local network is reached as "
	"well, which is --network user here";

static bool is_named(const xmlNode *node, const char *name)
{
	return strcasecmp((const char *)node->name, name) == 0;
}

static unsigned int line_of(const xmlNode *node)
{
	const long line = xml.line_no(node);

	return line > 0 ? (unsigned int)line : 0;
}

/*
 * Each element in `parent`, read by `read`; other text there is a mistake. The
 * first failure is the result, and only lack of memory ends it.
 */
static int each_element(struct config_file *f, const xmlNode *parent,
			int (*read)(struct config_file *f, const xmlNode *node, void *context),
			void *context)
{
	int first = 0;

	for (const xmlNode *n = parent->children; n && first != -ENOMEM; n = n->next) {
		int r = 0;

		if (n->type == XML_ELEMENT_NODE)
			r = read(f, n, context);
		else if (n->type != XML_COMMENT_NODE && n->type != XML_PI_NODE && !xml.is_blank(n))
			r = config_fail(f, line_of(n),
					"there is text in <%s> outside of an element",
					(const char *)parent->name);
		if (r == -ENOMEM || first == 0)
			first = r;
	}
	return first;
}

/* The text in an element that holds nothing else, without blanks at its ends; malloc'ed. */
static int text_of(struct config_file *f, const xmlNode *node, char **out)
{
	const char *text;
	xmlChar *content;
	size_t len;

	for (const xmlNode *n = node->children; n; n = n->next)
		if (n->type == XML_ELEMENT_NODE)
			return config_fail(f, line_of(n), "<%s> takes a value and no element <%s>",
					   (const char *)node->name, (const char *)n->name);
	content = xml.content(node);
	if (!content)
		return -ENOMEM;
	text = (const char *)content;
	text += strspn(text, " \t\r\n");
	len = strlen(text);
	while (len > 0 && strchr(" \t\r\n", text[len - 1]))
		len--;
	*out = strndup(text, len);
	/* The library's own allocator is malloc()'s. */
	free(content);
	return *out ? 0 : -ENOMEM;
}

/* A switch that the file leaves as it is on Windows. */
static int note_default(struct config_file *f, unsigned int line, const struct wsb_switch *s)
{
	char say[CONFIG_FILE_MAX_LINE];

	if (!s->by_default)
		return 0;
	snprintf(say, sizeof(say), "<%s> is on by default on Windows; here %s", s->name,
		 s->instead);
	return config_add(f, CONFIG_NOTE, line, NULL, say);
}

static int read_switch(struct config_file *f, const xmlNode *node, const struct wsb_switch *s)
{
	AUTO_FREE char *text = NULL;
	char say[CONFIG_FILE_MAX_LINE] = "";
	bool as_it_is;
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	as_it_is = !*text || strcasecmp(text, "default") == 0;
	r = as_it_is ? 0 : config_bool(text);
	if (r < 0)
		return config_fail(f, line_of(node),
				   "<%s>: '%.60s': give Enable, Disable or Default", s->name, text);
	if (r)
		snprintf(say, sizeof(say), "<%s>%s is not supported yet; %s", s->name, text,
			 s->instead);
	r = config_add(f, CONFIG_UNSUPPORTED, line_of(node), s->name, say);
	return r == 0 && as_it_is ? note_default(f, line_of(node), s) : r;
}

static int read_memory(struct config_file *f, const xmlNode *node)
{
	AUTO_FREE char *text = NULL;
	unsigned long long mb;
	char size[32];
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	if (!*text || text[strspn(text, "0123456789")] || strlen(text) > 12)
		return config_fail(f, line_of(node),
				   "<MemoryInMB>: '%.60s': give a number of MiB, such as 4096",
				   text);
	mb = strtoull(text, NULL, 10);
	if (mb < WSB_MEMORY_LEAST_MB) {
		char say[CONFIG_FILE_MAX_LINE];

		snprintf(say, sizeof(say), "<MemoryInMB>%s is raised to %d, as Windows does", text,
			 WSB_MEMORY_LEAST_MB);
		mb = WSB_MEMORY_LEAST_MB;
		r = config_add(f, CONFIG_UNSUPPORTED, line_of(node), NULL, say);
	}
	snprintf(size, sizeof(size), "%lluM", mb);
	return r < 0 ? r
		     : config_add_setting(f, setting_find("memory"), line_of(node), "MemoryInMB",
					  size);
}

/* What stands here for a variable of Windows, NAME without its signs. */
static const char *our_name(const char *name, size_t len)
{
	static const char *const names[][2] = {
		{"USERPROFILE", "~"}, {"HOMEPATH", "~"}, {"USERNAME", "$USER"},
		{"TEMP", "/tmp"},     {"TMP", "/tmp"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strlen(names[i][0]) == len && strncasecmp(name, names[i][0], len) == 0)
			return names[i][1];
	return "$NAME for a variable of this host";
}

/* The length of NAME if text begins "%NAME%", else 0. */
static size_t windows_variable(const char *text)
{
	size_t n = 1;

	while (text[0] == '%' && (isalnum((unsigned char)text[n]) || text[n] == '_'))
		n++;
	return text[0] == '%' && n > 1 && text[n] == '%' ? n - 1 : 0;
}

static bool has_drive(const char *text)
{
	return isalpha((unsigned char)text[0]) && text[1] == ':' &&
	       (text[2] == '\\' || text[2] == '/' || !text[2]);
}

/* A path of another system gets an explanation instead of "no such file". */
static int check_path(struct config_file *f, const xmlNode *node, const char *name,
		      const char *text)
{
	if (!*text)
		return config_fail(f, line_of(node), "<%s> is empty; it takes a path", name);
	for (const char *p = strchr(text, '%'); p; p = strchr(p + 1, '%')) {
		const size_t n = windows_variable(p);

		if (n)
			return config_fail(f, line_of(node),
					   "<%s>: %.*s is a variable of Windows; here write %s",
					   name, (int)n + 2, p, our_name(p + 1, n));
	}
	if (has_drive(text) || *text == '\\')
		return config_fail(f, line_of(node),
				   "<%s>: '%.100s' is a path of Windows; here a path begins with / "
				   "or ~/, or is relative to this file",
				   name, text);
	return 0;
}

/* A relative path of Windows means the same here, once / parts its folders. */
static void turn_slashes(char *path)
{
	for (; *path; path++)
		if (*path == '\\')
			*path = '/';
}

static int read_path(struct config_file *f, const xmlNode *node, const char *name, char **field)
{
	int r;

	if (*field)
		return config_fail(f, line_of(node), "<%s> is given twice", name);
	r = text_of(f, node, field);
	if (r == 0)
		r = check_path(f, node, name, *field);
	if (r == 0)
		turn_slashes(*field);
	return r;
}

static int read_only(struct config_file *f, const xmlNode *node, struct config_share *share)
{
	AUTO_FREE char *text = NULL;
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	r = config_bool(text);
	if (r < 0)
		return config_fail(f, line_of(node), "<ReadOnly>: '%.60s': give true or false",
				   text);
	share->writable = !r;
	return 0;
}

/* `names` is what could have been meant, NULL behind the last. */
static int pass_over(struct config_file *f, const xmlNode *node, const char *const *names)
{
	const char *name = (const char *)node->name, *near = nearest_word(name, names);
	char say[CONFIG_FILE_MAX_LINE];

	if (near)
		snprintf(say, sizeof(say),
			 "unknown element <%.60s> is passed over, did you mean <%s>?", name, near);
	else
		snprintf(say, sizeof(say), "unknown element <%.60s> is passed over", name);
	return config_add(f, CONFIG_UNSUPPORTED, line_of(node), NULL, say);
}

static int read_folder_element(struct config_file *f, const xmlNode *node, void *context)
{
	static const char *const names[] = {"HostFolder", "SandboxFolder", "ReadOnly", NULL};
	struct config_share *share = context;

	if (is_named(node, names[0]))
		return read_path(f, node, names[0], &share->host);
	if (is_named(node, names[1]))
		return read_path(f, node, names[1], &share->guest);
	if (is_named(node, names[2]))
		return read_only(f, node, share);
	return pass_over(f, node, names);
}

static int read_folder(struct config_file *f, const xmlNode *folder)
{
	struct config_share *share;
	int r = config_add_share(f, line_of(folder), &share);

	if (r < 0)
		return r;
	/* As documented: writable unless it says otherwise. */
	share->writable = true;
	r = each_element(f, folder, read_folder_element, share);
	if (r == 0 && !share->host)
		r = config_fail(f, line_of(folder), "this MappedFolder has no HostFolder");
	share->bad = r < 0;
	return r;
}

static int read_list_element(struct config_file *f, const xmlNode *node, void *context)
{
	static const char *const names[] = {"MappedFolder", NULL};

	(void)context;
	return is_named(node, names[0]) ? read_folder(f, node) : pass_over(f, node, names);
}

static int read_command(struct config_file *f, const xmlNode *node, void *context)
{
	static const char *const names[] = {"Command", NULL};
	AUTO_FREE char *text = NULL;
	int r;

	(void)context;
	if (!is_named(node, names[0]))
		return pass_over(f, node, names);
	r = text_of(f, node, &text);
	if (r < 0 || !text)
		return r;
	if (!*text)
		return config_fail(f, line_of(node), "<Command> is empty; leave it out for none");
	return config_add(f, CONFIG_COMMAND, line_of(node), names[0], text);
}

static int unknown_element(struct config_file *f, const xmlNode *node)
{
	const char *names[ARRAY_SIZE(switches) + 6] = {"Networking", "MappedFolders",
						       "LogonCommand", "MemoryInMB", "vGPU"};

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		names[i + 5] = switches[i].name;
	return pass_over(f, node, names);
}

/* An element that is on unless it says Disable. */
static int read_on(struct config_file *f, const xmlNode *node, const char *name, bool *on)
{
	AUTO_FREE char *text = NULL;
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r < 0 ? r : -ENOMEM;
	r = !*text || strcasecmp(text, "default") == 0 ? 1 : config_bool(text);
	if (r < 0)
		return config_fail(f, line_of(node),
				   "<%s>: '%.60s': give Enable, Disable or Default", name, text);
	*on = r;
	return 0;
}

static int set_network(struct config_file *f, unsigned int line, bool on)
{
	int r = config_add_setting(f, setting_find("network"), line, "Networking",
				   on ? "internet" : "none");

	return r == 0 && on ? config_add(f, CONFIG_NOTE, line, NULL, network_note) : r;
}

/* On, unless the file says otherwise, as on Windows; but it reaches public addresses only. */
static int read_networking(struct config_file *f, const xmlNode *node)
{
	bool on;
	int r = read_on(f, node, "Networking", &on);

	return r < 0 ? r : set_network(f, line_of(node), on);
}

/* Where it may be used, it is if there is one, as on Windows. */
static int read_gpu(struct config_file *f, const xmlNode *node)
{
	bool on;
	int r = read_on(f, node, "vGPU", &on);

	return r < 0 ? r
		     : config_add_setting(f, setting_find("gpu"), line_of(node), "vGPU",
					  on ? "auto" : "off");
}

/* The file has an element of this name, which is how config_add() was told of it. */
static bool has(const struct config_file *f, const char *name)
{
	for (size_t i = 0; i < f->n_entries; i++)
		if (f->entries[i].what && strcmp(f->entries[i].what, name) == 0)
			return true;
	return false;
}

static int read_element(struct config_file *f, const xmlNode *node, void *context)
{
	(void)context;
	if (is_named(node, "MappedFolders"))
		return each_element(f, node, read_list_element, NULL);
	if (is_named(node, "LogonCommand"))
		return each_element(f, node, read_command, NULL);
	if (is_named(node, "MemoryInMB"))
		return read_memory(f, node);
	if (is_named(node, "Networking"))
		return read_networking(f, node);
	if (is_named(node, "vGPU"))
		return read_gpu(f, node);
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (is_named(node, switches[i].name))
			return read_switch(f, node, &switches[i]);
	return unknown_element(f, node);
}

/* What the file says nothing of is as on Windows, or said. */
static int add_defaults(struct config_file *f, unsigned int line)
{
	int r = has(f, "Networking") ? 0 : set_network(f, line, true);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(switches); i++)
		if (!has(f, switches[i].name))
			r = note_default(f, line, &switches[i]);
	return r;
}

static int read_document(struct config_file *f, xmlDoc *doc)
{
	const xmlNode *root = xml.root_element(doc);
	int r;

	if (!root || !is_named(root, "Configuration"))
		return config_fail(f, root ? line_of(root) : 0,
				   "a .wsb file is one element <Configuration>");
	r = each_element(f, root, read_element, NULL);
	return r == 0 ? add_defaults(f, line_of(root)) : r;
}

/* The parser's callback for "<!DOCTYPE", before what it declares. */
static void refuse_doctype(void *context, const xmlChar *name, const xmlChar *id,
			   const xmlChar *system)
{
	xmlParserCtxt *parser = context;

	(void)name;
	(void)id;
	(void)system;
	(void)config_fail(parser->_private, (unsigned int)xml.sax_line(parser),
			  "a DOCTYPE and what it declares are not read; leave it out");
	xml.stop_parser(parser);
}

static int xml_failure(struct config_file *f, xmlParserCtxt *parser)
{
	const xmlError *e = xml.last_error(parser);
	const char *text = e && e->message ? e->message : "it cannot be read";

	if (e && e->code == XML_ERR_NO_MEMORY)
		return -ENOMEM;
	return config_fail(f, e && e->line > 0 ? (unsigned int)e->line : 0,
			   "this is not well-formed XML: %.*s", (int)strcspn(text, "\n"), text);
}

int config_parse_wsb(struct config_file *f, const char *text, size_t len)
{
	xmlParserCtxt *parser;
	xmlDoc *doc;
	int r;

	f->format = CONFIG_FORMAT_WSB;
	if (len > CONFIG_FILE_MAX_BYTES)
		return -EFBIG;
	if (xml_lib_open(&xml) < 0)
		return config_fail(f, 0,
				   "a .wsb file cannot be read without libxml2; install it "
				   "(Debian: sudo apt install libxml2)");
	parser = xml.new_parser();
	if (!parser)
		return -ENOMEM;
	parser->_private = f;
	parser->sax->internalSubset = refuse_doctype;
	doc = xml.read_memory(parser, text, (int)len, NULL, NULL,
			      XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING);
	if (f->n_problems > 0)
		r = -EINVAL;
	else if (!doc)
		r = xml_failure(f, parser);
	else
		r = read_document(f, doc);
	xml.free_doc(doc);
	xml.free_parser(parser);
	return r;
}

bool config_is_windows_command(const char *command)
{
	static const char *const programs[] = {
		"cmd", "powershell", "pwsh", "explorer", "start", "reg", "msiexec", NULL,
	};
	static const char *const endings[] = {".exe", ".cmd", ".bat", ".ps1", ".msi", ".vbs", NULL};
	const size_t n = strcspn(command, " \t");

	for (const char *const *e = endings; *e; e++)
		if (n > strlen(*e) && strncasecmp(command + n - strlen(*e), *e, strlen(*e)) == 0)
			return true;
	for (const char *const *p = programs; *p; p++)
		if (strlen(*p) == n && strncasecmp(command, *p, n) == 0)
			return true;
	return has_drive(command) || has_drive(command + (command[0] == '"')) ||
	       windows_variable(command + (command[0] == '"')) > 0;
}
