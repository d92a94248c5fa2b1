/** Signals of Linux on every architecture that Node runs on. Node's own table is not available in browsers. */
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

/**
 * Number of a signal.
 * @unit number
 * @past The call is refused.
 * @code invalid_argument
 */
export const MAX_SIGNAL = 64;

/** Returns the full name of a signal such as `"SIGTERM"` or `"TERM"`; `undefined` for an unknown name. */
export function signalName(name: string): keyof typeof SIGNAL_NUMBERS | undefined {
  const full = name.startsWith("SIG") ? name : `SIG${name}`;
  return Object.hasOwn(SIGNAL_NUMBERS, full) ? (full as keyof typeof SIGNAL_NUMBERS) : undefined;
}
