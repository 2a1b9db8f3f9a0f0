/* text_fold.h - lower case for searching: Latin, Greek and Cyrillic letters, no locale.
 *
 * One letter becomes one letter of the same length in UTF-8, so a text is folded in place. Letters
 * of other scripts and bytes that are no UTF-8 stay as they are. */
#ifndef STAGE4_PROTO_STORE_TEXT_FOLD_H
#define STAGE4_PROTO_STORE_TEXT_FOLD_H

void text_fold(char *text);

#endif
