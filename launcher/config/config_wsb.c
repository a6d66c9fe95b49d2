/* SPDX-License-Identifier: MIT */
/*
 * DOC: Windows Sandbox files (.wsb)
 *
 * The elements are those of Microsoft's documentation of Windows Sandbox, in
 * any letter case, as its own samples have them. The XML parser is given no
 * network, no files, and no document type: it stops at a DOCTYPE, before
 * anything could be declared in it, so there are no entities but XML's five.
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
static const struct {
	const char *name;
	const char *instead;
} switches[] = {
	{"vGPU", "the sandbox has no GPU"},
	{"AudioInput", "the sandbox has no microphone"},
	{"VideoInput", "the sandbox has no camera"},
	{"ProtectedClient", "the sandbox has no window that needs it"},
	{"PrinterRedirection", "the sandbox has no printers"},
	{"ClipboardRedirection", "the sandbox has no clipboard"},
};

static const char allowed[] = "vGPU, Networking, MappedFolders, LogonCommand, AudioInput, "
			      "VideoInput, ProtectedClient, PrinterRedirection, "
			      "ClipboardRedirection, MemoryInMB";

static bool is_named(const xmlNode *node, const char *name)
{
	return strcasecmp((const char *)node->name, name) == 0;
}

static unsigned int line_of(const xmlNode *node)
{
	const long line = xml.line_no(node);

	return line > 0 ? (unsigned int)line : 0;
}

/* The first element at or behind `node`; other text there is a mistake. */
static int next_element(struct config_file *f, const xmlNode *node, const xmlNode **out)
{
	for (; node && node->type != XML_ELEMENT_NODE; node = node->next) {
		if (node->type == XML_COMMENT_NODE || node->type == XML_PI_NODE ||
		    xml.is_blank(node))
			continue;
		return config_fail(f, line_of(node), "there is text in <%s> outside of an element",
				   (const char *)node->parent->name);
	}
	*out = node;
	return 0;
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

static int read_switch(struct config_file *f, const xmlNode *node, const char *name,
		       const char *instead)
{
	AUTO_FREE char *text = NULL;
	char say[CONFIG_FILE_MAX_LINE] = "";
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	if (*text && strcasecmp(text, "default") != 0) {
		r = config_bool(text);
		if (r < 0)
			return config_fail(f, line_of(node),
					   "<%s>: '%.60s': give Enable, Disable or Default", name,
					   text);
		if (r)
			snprintf(say, sizeof(say), "<%s>%s is not supported yet; %s", name, text,
				 instead);
	}
	return config_add(f, CONFIG_UNSUPPORTED, line_of(node), name, say);
}

static int read_memory(struct config_file *f, const xmlNode *node)
{
	AUTO_FREE char *text = NULL, *size = NULL;
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	if (!*text || text[strspn(text, "0123456789")] || strlen(text) > 12)
		return config_fail(f, line_of(node),
				   "<MemoryInMB>: '%.60s': give a number of MiB, such as 4096",
				   text);
	if (asprintf(&size, "%sM", text) < 0)
		return -ENOMEM;
	return config_add_setting(f, setting_find("memory"), line_of(node), "MemoryInMB", size);
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
	if (has_drive(text) || strncmp(text, "\\\\", 2) == 0)
		return config_fail(f, line_of(node),
				   "<%s>: '%.100s' is a path of Windows; here a path begins with / "
				   "or ~/, or is relative to this file",
				   name, text);
	if (strchr(text, '\\'))
		return config_fail(f, line_of(node),
				   "<%s>: '%.100s': here folders in a path are parted by /", name,
				   text);
	return 0;
}

static int read_path(struct config_file *f, const xmlNode *node, const char *name, char **field)
{
	int r;

	if (*field)
		return config_fail(f, line_of(node), "<%s> is given twice", name);
	r = text_of(f, node, field);
	return r < 0 ? r : check_path(f, node, name, *field);
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

static int read_folder(struct config_file *f, const xmlNode *folder)
{
	struct config_share *share = config_add_share(f, line_of(folder));
	const xmlNode *node = NULL;
	int r;

	if (!share)
		return f->error[0] ? -EINVAL : -ENOMEM;
	/* As documented: writable unless it says otherwise. */
	share->writable = true;
	r = next_element(f, folder->children, &node);
	for (; r == 0 && node; r = r < 0 ? r : next_element(f, node->next, &node)) {
		if (is_named(node, "HostFolder"))
			r = read_path(f, node, "HostFolder", &share->host);
		else if (is_named(node, "SandboxFolder"))
			r = read_path(f, node, "SandboxFolder", &share->guest);
		else if (is_named(node, "ReadOnly"))
			r = read_only(f, node, share);
		else
			r = config_fail(f, line_of(node),
					"unknown element <%.60s>; a MappedFolder has HostFolder, "
					"SandboxFolder and ReadOnly",
					(const char *)node->name);
	}
	if (r == 0 && !share->host)
		r = config_fail(f, line_of(folder), "this MappedFolder has no HostFolder");
	return r;
}

static int read_command(struct config_file *f, const xmlNode *node)
{
	AUTO_FREE char *text = NULL;
	int r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	if (!*text)
		return config_fail(f, line_of(node), "<Command> is empty; leave it out for none");
	return config_add(f, CONFIG_COMMAND, line_of(node), "Command", text);
}

/* An element that holds only elements named `name`. */
static int read_list(struct config_file *f, const xmlNode *list, const char *name,
		     int (*read)(struct config_file *f, const xmlNode *node))
{
	const xmlNode *node = NULL;
	int r = next_element(f, list->children, &node);

	for (; r == 0 && node; r = r < 0 ? r : next_element(f, node->next, &node)) {
		if (is_named(node, name))
			r = read(f, node);
		else
			r = config_fail(f, line_of(node), "unknown element <%.60s>; a %s has %s",
					(const char *)node->name, (const char *)list->name, name);
	}
	return r;
}

static int unknown_element(struct config_file *f, const xmlNode *node)
{
	static const char *const names[] = {
		"vGPU",
		"Networking",
		"MappedFolders",
		"LogonCommand",
		"AudioInput",
		"VideoInput",
		"ProtectedClient",
		"PrinterRedirection",
		"ClipboardRedirection",
		"MemoryInMB",
		NULL,
	};
	const char *name = (const char *)node->name, *near = nearest_word(name, names);

	if (near)
		return config_fail(f, line_of(node),
				   "unknown element <%.60s>, did you mean <%s>? There are %s", name,
				   near, allowed);
	return config_fail(f, line_of(node), "unknown element <%.60s>; there are %s", name,
			   allowed);
}

/* On, unless the file says otherwise, as on Windows; but it reaches public addresses only. */
static int read_networking(struct config_file *f, const xmlNode *node)
{
	AUTO_FREE char *text = NULL;
	int on, r = text_of(f, node, &text);

	if (r < 0 || !text)
		return r;
	on = !*text || strcasecmp(text, "default") == 0 ? 1 : config_bool(text);
	if (on < 0)
		return config_fail(f, line_of(node),
				   "<Networking>: '%.60s': give Enable, Disable or Default", text);
	return config_add_setting(f, setting_find("network"), line_of(node), "Networking",
				  on ? "internet" : "none");
}

/* The setting `name` is in the list. */
static bool is_set(const struct config_file *f, const char *name)
{
	for (size_t i = 0; i < f->n_entries; i++)
		if (f->entries[i].row && strcmp(f->entries[i].row->name, name) == 0)
			return true;
	return false;
}

static int read_element(struct config_file *f, const xmlNode *node)
{
	if (is_named(node, "MappedFolders"))
		return read_list(f, node, "MappedFolder", read_folder);
	if (is_named(node, "LogonCommand"))
		return read_list(f, node, "Command", read_command);
	if (is_named(node, "MemoryInMB"))
		return read_memory(f, node);
	if (is_named(node, "Networking"))
		return read_networking(f, node);
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		if (is_named(node, switches[i].name))
			return read_switch(f, node, switches[i].name, switches[i].instead);
	return unknown_element(f, node);
}

static int read_document(struct config_file *f, xmlDoc *doc)
{
	const xmlNode *root = xml.root_element(doc), *node = NULL;
	int r;

	if (!root || !is_named(root, "Configuration"))
		return config_fail(f, root ? line_of(root) : 0,
				   "a .wsb file is one element <Configuration>");
	r = next_element(f, root->children, &node);
	for (; r == 0 && node; r = r < 0 ? r : next_element(f, node->next, &node))
		r = read_element(f, node);
	if (r == 0 && !is_set(f, "network"))
		r = config_add_setting(f, setting_find("network"), line_of(root), "Networking",
				       "internet");
	return r;
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
	if (f->error[0])
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
