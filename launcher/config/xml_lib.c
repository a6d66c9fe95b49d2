/* SPDX-License-Identifier: MIT */
#include "launcher/config/xml_lib.h"

#include "common/lazy_lib.h"

/* The one of the ABI we were compiled for. */
#define LIBRARY "libxml2.so.2"

static const struct lazy_symbol functions[] = {
	{"xmlNewParserCtxt", offsetof(struct xml_lib, new_parser)},
	{"xmlFreeParserCtxt", offsetof(struct xml_lib, free_parser)},
	{"xmlStopParser", offsetof(struct xml_lib, stop_parser)},
	{"xmlCtxtReadMemory", offsetof(struct xml_lib, read_memory)},
	{"xmlCtxtGetLastError", offsetof(struct xml_lib, last_error)},
	{"xmlSAX2GetLineNumber", offsetof(struct xml_lib, sax_line)},
	{"xmlFreeDoc", offsetof(struct xml_lib, free_doc)},
	{"xmlDocGetRootElement", offsetof(struct xml_lib, root_element)},
	{"xmlGetLineNo", offsetof(struct xml_lib, line_no)},
	{"xmlIsBlankNode", offsetof(struct xml_lib, is_blank)},
	{"xmlNodeGetContent", offsetof(struct xml_lib, content)},
};

int xml_lib_open(struct xml_lib *lib)
{
	return lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), lib);
}
