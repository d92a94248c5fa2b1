import { closeSync, openSync } from "node:fs";
import { HelperProcess } from "../helpers/helper-process.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";

const PROGRAM = helperSource("mounter");

/** Time for one mount. A folder may lie on a slow file system. @unit ms */
const TIMEOUT_MS = 30_000;

/** Bytes of the device and the inode in an answer. */
const MADE_BYTES = 16;

interface MounterDeps {
  initPid: number;
  rootFd: number;
  /** A root server enters the mount namespace only; another one the user namespace too. */
  isRoot: boolean;
  perl: string;
  /** Aborts when the VM ends. */
  ending: AbortSignal;
}

/** A step of the mounter that failed, with the number of its error. */
export interface MountFailure {
  step: string;
  errno: number;
}

/** Device and inode of a mount's root. */
export interface MadeMount {
  dev: number;
  ino: number;
}

export type MountOutcome = MadeMount | MountFailure;

interface MounterUse {
  /** Takes a new mount into the table. If that fails, the program takes the mount away again. */
  take?(made: MadeMount): Promise<unknown>;
  /** Descriptor of the root of the mount to take away. */
  held?: number;
}

/**
 * Runs the program that makes or takes away a mount.
 *
 * @param values its arguments by name
 */
export async function runMounter(
  { initPid, rootFd, isRoot, perl, ending }: MounterDeps,
  values: Readonly<Record<string, string | number>>,
  { take, held }: MounterUse,
): Promise<MountOutcome> {
  const opened: number[] = [];
  let outcome: MountOutcome | undefined;
  let taken: Promise<unknown> | undefined;
  try {
    for (const name of isRoot ? ["mnt"] : ["mnt", "user"])
      opened.push(openSync(`/proc/${initPid}/ns/${name}`, "r"));
    const descriptors = [rootFd, ...opened, ...(held === undefined ? [] : [held])];
    // A helper's descriptors count from 3.
    const at = (fd: number | undefined) => (fd === undefined ? -1 : 3 + descriptors.indexOf(fd));
    const [mount, user] = opened;
    const args = [at(rootFd), at(mount), at(user), at(held), ...Object.entries(values).flat()];
    const program = HelperProcess.start({
      name: "program that mounts",
      command: helperCommand(perl, PROGRAM, args),
      descriptors,
      onFrame({ kind, number, body }) {
        if (kind === "e") outcome = { step: body.toString("latin1").slice(0, 32), errno: number };
        else if (kind === "m" && body.length === MADE_BYTES && outcome === undefined) {
          outcome = { dev: Number(body.readBigUInt64BE(0)), ino: Number(body.readBigUInt64BE(8)) };
          taken = take?.(outcome);
          taken?.then(
            () => program.send("k", 0),
            () => program.send("d", 0),
          );
        } else throw new Error(`a frame ${JSON.stringify(kind)} of ${body.length} bytes`);
      },
    });
    const kill = () => program.kill();
    const timer = setTimeout(kill, TIMEOUT_MS);
    ending.addEventListener("abort", kill, { once: true });
    await program.ended;
    clearTimeout(timer);
    ending.removeEventListener("abort", kill);
    if (outcome === undefined) throw program.loss;
    await taken;
    return outcome;
  } finally {
    for (const fd of opened) closeSync(fd);
  }
}
