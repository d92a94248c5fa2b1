import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { constants, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { RootedFileSystem } from "../../../../../src/runtime/sandbox/kernel/files/rooted-filesystem.ts";
import { PERL, scratchFolder, VM_OWNER } from "../../../filesystem/file-systems.ts";

const O_PATH = 0o10000000;
const TMPFS = "size=1m,nr_inodes=64,mode=755";

/** A VM's root on its own tmpfs with mounts in it. A helper process holds its mount namespace. */
export interface NamespaceRoot {
  fs: RootedFileSystem;
  /** Path of the root for processes of the host. */
  path: string;
  /** Runs a shell line in the namespace, in the VM's root directory, as its owner. */
  run(line: string): string;
  dispose(): Promise<void>;
}

/** Reason why this host allows no mount namespaces. `null` if it allows them. */
export const noNamespaces: string | null = findObstacle();

function findObstacle(): string | null {
  try {
    execFileSync("unshare", [...unshareFlags(), "true"], { stdio: "pipe" });
    return null;
  } catch (error) {
    return `no mount namespaces here: ${String((error as { stderr?: Buffer }).stderr ?? error).trim()}`;
  }
}

function unshareFlags(): string[] {
  const flags = ["--mount", "--pid", "--fork", "--kill-child"];
  return VM_OWNER === null ? ["--user", "--map-root-user", ...flags] : flags;
}

/** @param mounts shell lines that root of the namespace runs in the VM's root while it is built */
export async function openNamespaceRoot(mounts = ""): Promise<NamespaceRoot> {
  const folder = scratchFolder();
  const owner = VM_OWNER === null ? "" : `,uid=${VM_OWNER.uid},gid=${VM_OWNER.gid}`;
  const script = `set -e
    mount -n -t tmpfs -o ${TMPFS}${owner} vm '${folder}'
    cd '${folder}'
    ${mounts}
    echo ready
    exec cat`;
  const keeper = spawn("unshare", [...unshareFlags(), "sh", "-c", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await untilReady(keeper);
  const pid = readFileSync(`/proc/${keeper.pid}/task/${keeper.pid}/children`, "utf8").trim();
  const path = `/proc/${pid}/root${folder}`;
  const fs = new RootedFileSystem({
    rootFd: openSync(path, O_PATH | constants.O_DIRECTORY),
    owner: VM_OWNER,
    perl: PERL,
  });
  const enter = ["-t", pid, "-m", "-p", ...(VM_OWNER === null ? ["-U", "--preserve-credentials"] : [])];
  const asOwner =
    VM_OWNER === null
      ? []
      : ["setpriv", `--reuid=${VM_OWNER.uid}`, `--regid=${VM_OWNER.gid}`, "--clear-groups"];
  return {
    fs,
    path,
    run: (line) =>
      execFileSync("nsenter", [...enter, ...asOwner, "sh", "-c", `cd '${folder}' && ${line}`], {
        encoding: "utf8",
      }),
    async dispose() {
      await fs.close();
      const exited = new Promise((resolve) => keeper.once("exit", resolve));
      keeper.stdin?.end();
      await exited;
      rmSync(join(folder), { recursive: true, force: true });
    },
  };
}

function untilReady(keeper: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    keeper.stdout?.once("data", () => resolve());
    keeper.once("exit", (code) => reject(new Error(`unshare exited with ${code}`)));
  });
}
