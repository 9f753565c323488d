// The page's style sheet and script.
#ifndef REFORK_TUI_EXPORT_STYLE_H
#define REFORK_TUI_EXPORT_STYLE_H

extern const char export_style[], export_script[], export_script_hash[];

#endif
