/** Linux's signals on every architecture that Node runs on; kept here because the API side imports nothing from Node. */
export const SIGNAL_NUMBERS = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGQUIT: 3,
  SIGILL: 4,
  SIGTRAP: 5,
  SIGABRT: 6,
  SIGBUS: 7,
  SIGFPE: 8,
  SIGKILL: 9,
  SIGUSR1: 10,
  SIGSEGV: 11,
  SIGUSR2: 12,
  SIGPIPE: 13,
  SIGALRM: 14,
  SIGTERM: 15,
  SIGSTKFLT: 16,
  SIGCHLD: 17,
  SIGCONT: 18,
  SIGSTOP: 19,
  SIGTSTP: 20,
  SIGTTIN: 21,
  SIGTTOU: 22,
  SIGURG: 23,
  SIGXCPU: 24,
  SIGXFSZ: 25,
  SIGVTALRM: 26,
  SIGPROF: 27,
  SIGWINCH: 28,
  SIGIO: 29,
  SIGPWR: 30,
  SIGSYS: 31,
} as const;

/** Highest signal number, SIGRTMAX; 0 only asks whether the process is there. */
export const MAX_SIGNAL = 64;

/** The full name of a signal given as `"SIGTERM"` or `"TERM"`; `undefined` when there is none. */
export function signalName(name: string): keyof typeof SIGNAL_NUMBERS | undefined {
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  return Object.hasOwn(SIGNAL_NUMBERS, full) ? (full as keyof typeof SIGNAL_NUMBERS) : undefined;
}
