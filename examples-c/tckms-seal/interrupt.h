/* Handles SIGINT, SIGTERM and SIGHUP, so that an unfinished output file is removed. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

/* From now on the first signal is recorded, and a second one ends the program at once. Ignored signals stay ignored. */
void interrupt_catch(void);

/* The recorded signal, or 0. */
int interrupt_signal(void);

/* "interrupted by SIGINT", and so on. */
const char *interrupt_text(void);

/* Ends the program with the recorded signal, so that the caller sees it. Returns if none was recorded. */
void interrupt_pass_on(void);

#endif
