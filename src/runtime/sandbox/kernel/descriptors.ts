import { openSync, readdirSync } from "node:fs";
import { AgentVmError } from "../../../api/errors.ts";
import { readProc } from "./procfs.ts";

const O_CLOEXEC = 0o2000000;

/**
 * Descriptors of this process that its children would inherit: Node opens all of its own close-on-exec, but what its
 * parent left open above a gap stays inheritable, and would reach every VM.
 */
export function inheritedDescriptors(): number[] {
  return readdirSync("/proc/self/fd")
    .map(Number)
    .filter((fd) => fd > 2 && isInherited(fd));
}

function isInherited(fd: number): boolean {
  const flags = /^flags:\s*(\d+)/m.exec(readProc(`/proc/self/fdinfo/${fd}`) ?? "")?.[1];
  return flags !== undefined && (Number.parseInt(flags, 8) & O_CLOEXEC) === 0;
}

type Stdio = (number | "pipe" | "ignore" | "ipc")[];

let inherited: number[] | undefined;
let nothing: number | undefined;

/** A `stdio` for spawn in which /dev/null stands in for every inherited descriptor. */
export function sealedStdio(stdio: Stdio): Stdio {
  inherited ??= inheritedDescriptors();
  const open = inherited.filter((fd) => fd >= stdio.length);
  if (open.length === 0) return stdio;
  nothing ??= openSync("/dev/null", "r+");
  const sealed: Stdio = [...stdio];
  for (let fd = stdio.length; fd <= Math.max(...open); fd++)
    sealed[fd] = open.includes(fd) ? nothing : "ignore";
  return sealed;
}

/** The same for a starter that knows no `stdio`: the command behind a shell that closes them. */
export function sealedCommand(command: readonly string[], bash: string | undefined): readonly string[] {
  inherited ??= inheritedDescriptors();
  if (inherited.length === 0) return command;
  // sh need not understand descriptors above 9.
  if (bash === undefined) {
    throw new AgentVmError(
      "boot_failed",
      `The server was started with open descriptors (${inherited.join(", ")}) that a terminal would inherit`,
      { hint: "Start the server without them, or install bash." },
    );
  }
  const close = inherited.map((fd) => `${fd}>&-`).join(" ");
  return [bash, "--norc", "-c", `exec ${close}; exec "$@"`, "seal", ...command];
}
