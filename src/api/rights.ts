/** The rights of tokens, by name. docs/tokens.md explains each right. */
const RIGHTS = {
  /** See files, processes, their output, ports, cron jobs, snapshots and sessions, and change nothing. Not terminals. */
  read: true,
  /** Run commands, and see and signal processes. */
  exec: true,
  /** Open, see and use terminals. */
  terminal: true,
  /** Read, write and watch files, and move archives. */
  files: true,
  /** Use coding agents: open sessions, send prompts, answer permission requests. */
  sessions: true,
  /** Send requests to ports of the VM, make preview URLs, and open tunnels. */
  network: true,
  /** Schedule commands and prompts. */
  cron: true,
  /** Make, restore, compare and delete snapshots, and undo. */
  snapshots: true,
  /** Make VMs: `getOrCreate` of a missing key, `create`, `fork`. */
  create: true,
  /**
   * Everything that the other rights allow. Also destroy, restart and put to sleep, mount, set labels and the network policy, and
   * make tokens for the same VMs.
   */
  admin: true,
} as const;

/** A right of a token. */
export type Right = keyof typeof RIGHTS;

/** The name of every right. */
export const RIGHT_NAMES = Object.keys(RIGHTS) as Right[];

/** A method or an event that a right guards. */
export interface Guarded {
  /** The right that a token needs. `any`: one right, whichever. */
  readonly right: Right | "any";
  /** Changes nothing: no file, process or record of the VM. The right `read` also suffices, except for terminals. */
  readonly reads?: true;
}

/** Returns whether a token with these rights may use a method or see an event. */
export function permits(may: readonly Right[], { right, reads }: Guarded): boolean {
  if (right === "any") return may.length > 0;
  return may.some((has) => has === "admin" || has === right || (has === "read" && isSeen({ right, reads })));
}

/** Returns the rights of which one suffices. `any` stands for every right. */
export function sufficientRights({ right, reads }: Guarded): string[] {
  return isSeen({ right, reads }) ? [right, "read"] : [right];
}

/** Returns whether the right `read` suffices. */
function isSeen({ right, reads }: { right: Guarded["right"]; reads?: true | undefined }): boolean {
  return reads === true && right !== "terminal" && right !== "any";
}
