import { openSync, readdirSync } from "node:fs";
import { AgentVmError } from "../../../api/errors.ts";
import { readProc } from "./procfs/procfs.ts";

const O_CLOEXEC = 0o2000000;

/**
 * Lists the descriptors that children of the server would inherit. Node opens its own descriptors close-on-exec. But a
 * descriptor that Node's parent left open above a gap stays inheritable, and would reach every VM.
 */
function inheritedDescriptors(): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => fd > 2 && isInherited(fd));
}

function isInherited(fd: number): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(readProc(`/proc/self/fdinfo/${fd}`) ?? "")?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
}

type Stdio = (number | "pipe" | "ignore" | "ipc")[];

interface Inherited {
  fds: readonly number[];
  /** Takes their place in a child. `undefined` if there are none. */
  devNull: number | undefined;
}

let found: Inherited | undefined;

/** Finds the inherited descriptors. A boot calls this, because later the server may have no descriptor left for it. */
export function findInherited(): Inherited {
  if (found === undefined) {
    const fds = inheritedDescriptors();
    found = { fds, devNull: fds.length > 0 ? openSync("/dev/null", "r+") : undefined };
  }
  return found;
}

/** Extends a `stdio` for spawn: /dev/null replaces every inherited descriptor. */
export function sealedStdio(stdio: Stdio): Stdio {
  const { fds, devNull } = findInherited();
  const open = fds.filter((fd) => fd >= stdio.length);
  if (open.length === 0 || devNull === undefined) return stdio;
  const sealed: Stdio = [...stdio];
  for (let fd = stdio.length; fd <= Math.max(...open); fd++)
    sealed[fd] = open.includes(fd) ? devNull : "ignore";
  return sealed;
}

/** Wraps a command in a shell that closes inherited descriptors, for node-pty, which has no `stdio` option. */
export function sealedCommand(command: readonly string[], bash: string | undefined): readonly string[] {
  const { fds } = findInherited();
  if (fds.length === 0) return command;
  // Some shells do not understand descriptors above 9.
  if (bash === undefined) {
    throw new AgentVmError(
      "boot_failed",
      `The server was started with open descriptors (${fds.join(", ")}) that a terminal would inherit`,
      { hint: "Start the server without these descriptors, or install bash." },
    );
  }
  const close = fds.map((fd) => `${fd}>&-`).join(" ");
  return [bash, "--norc", "-c", `exec ${close}; exec "$@"`, "seal", ...command];
}
