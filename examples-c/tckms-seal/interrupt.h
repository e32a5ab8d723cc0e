/* SIGINT, SIGTERM and SIGHUP: noted, so that an unfinished output file is removed. */
#ifndef INTERRUPT_H
#define INTERRUPT_H

/* From now on the first signal is noted and a second one ends the program at once. Ignored signals stay ignored. */
void interrupt_catch(void);

/* The signal that was noted, or 0. */
int interrupt_signal(void);

/* "interrupted by SIGINT", and so on. */
const char *interrupt_text(void);

/* Ends the program as the signal does by itself, so that the caller learns of it. Returns when none was noted. */
void interrupt_pass_on(void);

#endif
