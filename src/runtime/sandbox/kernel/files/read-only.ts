import { closeSync, openSync } from "node:fs";
import { HelperProcess } from "../helpers/helper-process.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";

const PROGRAM = helperSource("readonly");

/** Descriptors of the namespaces and the root in the helper. */
const USER_FD = 3;
const MOUNT_FD = 4;
const ROOT_FD = 5;

/**
 * Makes a VM's root read-only for all programs of the VM. No program may have run in the VM.
 *
 * @throws Error on a kernel before 5.12
 */
export async function makeRootReadOnly(initPid: number, rootFd: number, perl: string): Promise<void> {
  const namespaces: number[] = [];
  try {
    for (const name of ["user", "mnt"]) namespaces.push(openSync(`/proc/${initPid}/ns/${name}`, "r"));
    const program = HelperProcess.start({
      name: "program that makes files read-only",
      command: helperCommand(perl, PROGRAM, [USER_FD, MOUNT_FD, ROOT_FD]),
      descriptors: [...namespaces, rootFd],
      onFrame: () => undefined,
    });
    await program.ended;
    if (program.process?.exitCode !== 0) throw program.loss;
  } finally {
    for (const fd of namespaces) closeSync(fd);
  }
}
