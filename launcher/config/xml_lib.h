/* SPDX-License-Identifier: MIT */
/* launcher/config/xml_lib.h - libxml2, loaded when there is a .wsb file to read. */
#ifndef LAUNCHER_CONFIG_XML_LIB_H
#define LAUNCHER_CONFIG_XML_LIB_H

#include <libxml/parser.h>

#include "common/util.h"

/* Few sandboxes are described by such a file (common/lazy_lib.h). Named as libxml2's functions are. */
struct xml_lib {
	__typeof__(xmlNewParserCtxt) *new_parser;
	__typeof__(xmlFreeParserCtxt) *free_parser;
	__typeof__(xmlStopParser) *stop_parser;
	__typeof__(xmlCtxtReadMemory) *read_memory;
	__typeof__(xmlCtxtGetLastError) *last_error;
	__typeof__(xmlSAX2GetLineNumber) *sax_line;
	__typeof__(xmlFreeDoc) *free_doc;
	__typeof__(xmlDocGetRootElement) *root_element;
	__typeof__(xmlGetLineNo) *line_no;
	__typeof__(xmlIsBlankNode) *is_blank;
	__typeof__(xmlNodeGetContent) *content;
};

/* -ELIBACC: it is not installed. */
int xml_lib_open(struct xml_lib *lib) MUST_CHECK;

#endif
