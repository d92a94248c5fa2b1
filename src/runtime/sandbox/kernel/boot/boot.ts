import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { AgentVmError } from "../../../../api/errors.ts";
import type { VmLimits } from "../../../options.ts";
import { O_PATH, quote } from "../../posix.ts";
import { VM_HOSTNAME, VM_UID } from "../../sandbox.ts";
import { helperCommand, helperSource } from "../helpers/programs.ts";
import { RESERVED_PROCESSES } from "../processes/capacity.ts";
import { childrenOf, readStat } from "../procfs/procfs.ts";
import { SYSTEM_PATH, type Tools } from "../tools.ts";
import type { Layout } from "./layout.ts";
import { EMPTY_FILE, INIT_PATH, initSource, MEMORY_FILE } from "./layout.ts";
import { inotifyLimits, ipcLimits, userLimits } from "./per-user.ts";
import { hiddenInProc } from "./proc-masks.ts";
import { sealLines } from "./seal.ts";

/**
 * Boot of a VM.
 * @unit ms
 * @past The boot fails. The next call tries again.
 * @code boot_failed
 */
const BOOT_TIMEOUT_MS = 30_000;

/** Line that the server writes to init. Init, a cat(1), writes it back. */
const READY = "ready";

const MAX_BOOT_ERROR_BYTES = 8192;

/** The namespaces of one VM, held by its init. */
export interface BootedVm {
  /** The process outside that waits for the VM's end. */
  keeper: ChildProcess;
  /** Init's pid as the host sees it. */
  initPid: number;
  /** O_PATH descriptors of the VM's root and of its own procfs, taken before anything ran inside. */
  rootFd: number;
  procFd: number;
}

interface BootRequest {
  layout: Layout;
  /** An empty folder of the host that serves as mount point in the VM's own mount namespace. */
  mountPoint: string;
  /** Files of fstab(5) for `mountPoint`. */
  fstabPaths: readonly string[];
  /** `MEMORY_FILE` is mounted, and covers /proc/meminfo. */
  showsMemory: boolean;
  limits: VmLimits;
  /** Host uid and gid of the VM under a root server; `null`: the server's own. */
  owner: { uid: number; gid: number } | null;
  tools: Tools;
  /** Seccomp filter in hexadecimal digits; `""` for none. */
  filter: string;
  signal: AbortSignal;
}

/**
 * Builds a VM's root in a mount namespace of its own and starts its init in the VM's namespaces. Two user namespaces
 * for an ordinary user: devpts needs uid 0 mapped, the VM's user is 1000, and an unprivileged process may only enter
 * namespaces that the innermost one owns. A root server makes the mounts as real root, since a tmpfs mounted inside a
 * user namespace answers the server's own writes with EOVERFLOW.
 *
 * The kernel lets only root set the limits of an IPC namespace: the host's, or since Linux 6.9 the root of the user
 * namespace that owns it. So the outer user namespace of an ordinary user's server owns it.
 *
 * Two pid namespaces as well. The VM's procfs can only be mounted where another one can be seen, and stays on top of
 * it: the one below is that of the outer namespace, in which there is nothing but this boot, and not the host's.
 *
 * Boot programs hold capabilities over the VM's namespaces and load libraries from the VM's root. So nobody may write
 * there before the last of them has gone: a VM is ready when init itself, without any, answers.
 */
export async function bootVm(request: BootRequest): Promise<BootedVm> {
  const { tools, owner, signal } = request;
  signal.throwIfAborted();
  const namespaces = [
    ...(owner === null ? ["--user", "--map-root-user", "--ipc"] : []),
    "--pid",
    "--fork",
    "--kill-child",
  ];
  const build = [
    ...[tools.unshare, "--mount", ...(owner === null ? [] : ["--ipc"])],
    ...["--", tools.sh, "-c", stageOne(request)],
  ];
  // The mount namespace comes after the fork: the keeper, under a root server root itself, stays outside.
  const keeper = spawn(tools.unshare, [...namespaces, "--", ...build], {
    // Init reads its stdin for ever; its end, with the server's, is the end of the VM.
    stdio: ["pipe", "pipe", "pipe"],
    cwd: "/",
    env: { PATH: SYSTEM_PATH },
    detached: true,
  });
  // A write to an init that is gone must not end the server.
  keeper.stdin?.on("error", () => keeper.stdin?.destroy());
  try {
    keeper.stdin?.write(`${READY}\n`);
    await untilReady(keeper, signal);
    const initPid = childrenOf(keeper.pid as number).flatMap(childrenOf)[0];
    if (initPid === undefined) throw bootFailed("init has ended");
    const rootFd = openSync(`/proc/${initPid}/root`, constants.O_DIRECTORY | O_PATH);
    try {
      const procFd = openSync(
        `/proc/self/fd/${rootFd}/proc`,
        constants.O_DIRECTORY | constants.O_NOFOLLOW | O_PATH,
      );
      return { keeper, initPid, rootFd, procFd };
    } catch (error) {
      closeSync(rootFd);
      throw error;
    }
  } catch (error) {
    await endKeeper(keeper);
    throw error;
  }
}

/** Ends the VM: the kernel kills every process of the outer pid namespace, and so of the VM's, when its first goes. */
export async function endKeeper(keeper: ChildProcess): Promise<void> {
  keeper.stdin?.destroy();
  keeper.stdout?.destroy();
  keeper.stderr?.destroy();
  if (keeper.exitCode !== null || keeper.signalCode !== null || keeper.pid === undefined) return;
  const ended = new Promise<void>((resolve) => keeper.once("exit", () => resolve()));
  const first = childrenOf(keeper.pid);
  // The keeper waits for it, and ends by itself; a server that is the host's init could not wait in its place.
  for (const pid of first) killQuietly(pid);
  if (first.length === 0) killQuietly(keeper.pid);
  await ended;
}

function killQuietly(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}

function untilReady(keeper: ChildProcess, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let errors = "";
    let output = "";
    const late = (limit: string) => bootFailed(`no answer ${limit}, waiting for ${programOf(keeper)}`);
    const timer = setTimeout(() => settle(late(`within ${BOOT_TIMEOUT_MS} ms`)), BOOT_TIMEOUT_MS);
    const onAbort = () => {
      const { reason } = signal;
      settle(reason instanceof DOMException && reason.name === "TimeoutError" ? late("in time") : reason);
    };
    const onExit = (code: number | null) =>
      settle(bootFailed(errors.trim() || `the boot script ended with ${code}`));
    const settle = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      keeper.off("close", onExit);
      if (error === undefined) resolve();
      else reject(error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    keeper.once("error", (error) => settle(bootFailed(error.message)));
    keeper.once("close", onExit);
    keeper.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (errors.length < MAX_BOOT_ERROR_BYTES) errors += text;
    });
    keeper.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.includes(`${READY}\n`)) settle();
    });
  });
}

/** Returns the name of the program that a boot runs at the moment. */
function programOf({ pid = 0 }: ChildProcess): string {
  let [at, next]: (number | undefined)[] = [pid, childrenOf(pid)[0]];
  while (next !== undefined) [at, next] = [next, childrenOf(next)[0]];
  return readStat(at as number)?.command ?? "a program";
}

function bootFailed(detail: string): AgentVmError {
  return new AgentVmError("boot_failed", `The VM did not boot: ${detail}`, { detail });
}

/** In the new mount namespace, as root or mapped root: put the tree together, make it the root, go on inside. */
function stageOne(request: BootRequest): string {
  const { layout, mountPoint, fstabPaths, limits, owner, tools } = request;
  const size = `size=${limits.filesystemBytes},nr_inodes=${limits.inodes},mode=755,nosuid,nodev`;
  const ownership = owner === null ? "" : `,uid=${owner.uid},gid=${owner.gid}`;
  const init = initSource();
  const installOwner = owner === null ? "" : `-o ${owner.uid} -g ${owner.gid} `;
  const asOwner =
    owner === null ? "" : `${tools.setpriv} --reuid ${owner.uid} --regid ${owner.gid} --clear-groups `;
  return [
    "set -e",
    "umask 022",
    `${tools.mount} -n -t tmpfs -o ${quote(size + ownership)} agent-vm ${quote(mountPoint)}`,
    `${asOwner}${tools.cp} -a --no-preserve=ownership ${quote(`${layout.template}/.`)} ${quote(`${mountPoint}/`)}`,
    // Owned by the VM's user, else the server itself could not look at init; unreadable, so that the VM cannot.
    init === undefined
      ? ":"
      : `${tools.install} -m 0111 ${installOwner}${quote(init)} ${quote(mountPoint + INIT_PATH)}`,
    `${tools.mount} -n -a ${fstabPaths.map((path) => `-T ${quote(path)}`).join(" ")}`,
    ...layout.mountsBelow(mountPoint),
    `cd ${quote(mountPoint)}`,
    `${tools.pivot_root} . .`,
    `${tools.umount} -n -l .`,
    "cd /",
    ...sealLines(
      layout.hostMounts.map(({ target }) => target),
      tools,
    ),
    ...ipcLimits(limits),
    `exec ${asOwner}${owner === null ? "" : "--inh-caps=-all "}${tools.prlimit} --nproc=${limits.processes + RESERVED_PROCESSES} --core=1 ` +
      `${userLimits(owner)} ${tools.unshare} --user --map-user=${VM_UID} --map-group=${VM_UID} --keep-caps --mount --pid --net --uts ` +
      `--fork --kill-child --mount-proc -- ${becomeInit(request, init === undefined ? tools.cat : INIT_PATH)}`,
  ].join("\n");
}

/** In the VM's namespaces, with all capabilities over them: becomes init, without any. */
function becomeInit({ owner, tools, filter, showsMemory }: BootRequest, program: string): string {
  const command = helperCommand(tools.perl, helperSource("init"), [
    ...[VM_HOSTNAME, filter, program, EMPTY_FILE, showsMemory ? MEMORY_FILE : ""],
    ...inotifyLimits(owner),
    ...hiddenInProc(),
  ]);
  return command.map(quote).join(" ");
}
