import { closeSync, constants, openSync } from "node:fs";
import { constants as os } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import util from "node:util";
import { AgentVmError } from "../../../../api/errors.ts";
import type { VmLimits } from "../../../options.ts";
import { serverFull } from "../../host-room.ts";
import type { Owner } from "../../own-uids.ts";
import { O_PATH } from "../../posix.ts";
import { VM_HOSTNAME } from "../../vm-layout.ts";
import { Excerpt } from "../helpers/excerpt.ts";
import { ForkedHelper } from "../helpers/forked-helper.ts";
import { launch } from "../helpers/launch.ts";
import type { Launched } from "../helpers/launched.ts";
import { LaunchRefused } from "../helpers/launcher.ts";
import { RESERVED_PROCESSES } from "../processes/capacity.ts";
import type { HeldMemory } from "../processes/memory-parts.ts";
import { childrenOf, pidsIn, readStat } from "../procfs/procfs.ts";
import type { Tools } from "../tools.ts";
import { EMPTY_FILE, INIT_PATH, MEMORY_FILE } from "./layout.ts";
import { inotifyLimits, ipcLimits, userLimits } from "./per-user.ts";
import { hiddenInProc } from "./proc-masks.ts";

/**
 * Boot of a VM.
 * @unit ms
 * @past The boot fails. The next call tries again.
 * @code boot_failed
 */
const BOOT_TIMEOUT_MS = 30_000;

/** Line that the server writes to init. Init and the process outside, each a cat(1), write it back. */
const READY = "ready";

/** Looks whether the processes of a killed VM have ended, and the pause between two. */
const MAX_LOOKS = 500;
const LOOK_MS = 10;

/** Flags of unshare(2). */
const [CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID] = [0x08000000, 0x10000000, 0x20000000];

/** Numbers of resource limits; see getrlimit(2). */
const RLIMIT_NPROC = 6;

/** The namespaces of one VM, held by its init. */
export interface BootedVm {
  /** First process of the outer pid namespace. It ends after all others. */
  keeper: Launched;
  /** Init's pid as the host sees it. */
  initPid: number;
  /** The spawner that the boot has started; `undefined` if it has ended. */
  spawner: ForkedHelper | undefined;
  /** O_PATH descriptors of the VM's root and of its own procfs, taken before anything ran inside. */
  rootFd: number;
  procFd: number;
}

interface BootRequest {
  /** File of the plan of all VMs; see `planLayout`. */
  planPath: string;
  /** An empty folder of the host that serves as mount point in the VM's own mount namespace. */
  mountPoint: string;
  /** Places of the host that this VM may read, and their paths in the VM. */
  shown: readonly { source: string; target: string }[];
  /** Files of the VM's cgroup, to which the spawner writes "0". */
  cgroupProcs: readonly string[];
  limits: VmLimits;
  held: HeldMemory;
  /** Open descriptors that a command may have. */
  openFiles: number;
  /** Host uid and gid of the VM under a root server; `null`: the server's own. */
  owner: Owner | null;
  tools: Tools;
  /** Seccomp filter in hexadecimal digits; `""` for none. */
  filter: string;
  /** Text of the spawner's program; `""` for a fork. */
  spawner: string;
  signal: AbortSignal;
}

/**
 * Builds a VM's root in a mount namespace of its own and starts its init in the VM's namespaces; see `boot.pl`. Two user
 * namespaces for an ordinary user: devpts needs uid 0 mapped, the VM's user is 1000, and an unprivileged process may only
 * enter namespaces that the innermost one owns. A root server makes the mounts as real root, since a tmpfs mounted inside a
 * user namespace answers the server's own writes with EOVERFLOW.
 *
 * The kernel lets only root set the limits of an IPC namespace: the host's, or since Linux 6.9 the root of the user
 * namespace that owns it. So the outer user namespace of an ordinary user's server owns it.
 *
 * Two pid namespaces as well. The VM's procfs can only be mounted where another one can be seen, and stays on top of
 * it: the one below is that of the outer namespace, in which there is nothing but this boot, and not the host's.
 *
 * The boot holds capabilities over the VM's namespaces and loads libraries from the VM's root. So nobody may write there
 * before it has given them up: a VM is ready when init and the process outside, without any, answer.
 */
export async function bootVm(request: BootRequest): Promise<BootedVm> {
  const { owner, signal } = request;
  signal.throwIfAborted();
  const keeper = await launch({
    command: ["boot", ...bootArguments(request)],
    namespaces: CLONE_NEWPID | (owner === null ? CLONE_NEWUSER | CLONE_NEWIPC : 0),
    hasSmallPipes: true,
    signal,
  }).catch((error: unknown) => {
    if (signal.aborted && error === signal.reason) throw isTimeout(error) ? late("in time") : error;
    if (!(error instanceof LaunchRefused))
      throw bootFailed(error instanceof Error ? error.message : String(error));
    if (error.errno === os.errno.EAGAIN) throw serverFull("processes");
    throw bootFailed(`cannot make namespaces: ${util.getSystemErrorMessage(-error.errno)}`);
  });
  const open: number[] = [];
  try {
    // Init reads its stdin for ever; its end, with the server's, is the end of the VM.
    keeper.stdin.write(`${READY}\n`);
    const errors = new Excerpt(keeper.stderr);
    const output = await untilReady(keeper, errors, signal);
    const [initPid] = keeper.children();
    if (initPid === undefined) throw bootFailed("init has ended");
    open.push(openSync(`/proc/${initPid}/root`, constants.O_DIRECTORY | O_PATH));
    open.push(
      openSync(`/proc/self/fd/${open[0]}/proc`, constants.O_DIRECTORY | constants.O_NOFOLLOW | O_PATH),
    );
    const [rootFd, procFd] = open as [number, number];
    const ends = /^spawner (\d+) (\d+)$/m.exec(output)?.slice(1).map(Number) as [number, number] | undefined;
    const spawner = ends === undefined ? undefined : ForkedHelper.open(keeper.pid, ends, errors);
    return { keeper, initPid, spawner, rootFd, procFd };
  } catch (error) {
    for (const fd of open) closeSync(fd);
    await endKeeper(keeper);
    throw error;
  }
}

/** Ends a VM. The keeper ends after all its processes, but the server may learn of the end of a launcher before. */
export async function endVm({ keeper, procFd }: BootedVm): Promise<void> {
  await endKeeper(keeper);
  for (let looks = 0; looks < MAX_LOOKS && mayHaveProcesses(procFd); looks++) await delay(LOOK_MS);
}

function mayHaveProcesses(procFd: number): boolean {
  try {
    return pidsIn(`/proc/self/fd/${procFd}`).length > 0;
  } catch {
    // The server has no descriptor left. The next look may have one.
    return true;
  }
}

/** Ends the VM: the kernel kills every process of the outer pid namespace, and so of the VM's, when its first goes. */
export async function endKeeper(keeper: Launched): Promise<void> {
  keeper.release();
  keeper.kill();
  await keeper.exited;
}

/** @returns the output of the boot */
function untilReady(keeper: Launched, errors: Excerpt, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    let output = "";
    const step = () => stepOf(keeper);
    const timer = setTimeout(() => settle(late(`within ${BOOT_TIMEOUT_MS} ms`, step())), BOOT_TIMEOUT_MS);
    const onAbort = () => {
      const { reason } = signal;
      settle(isTimeout(reason) ? late("in time", step()) : reason);
    };
    void keeper.closed.then(({ code }) =>
      settle(bootFailed(withNames(errors.text.trim() || `the boot ended with ${code}`))),
    );
    const settle = (error?: Error) => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      if (error === undefined) resolve(output);
      else reject(error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    // It may have been aborted while the launcher started the keeper.
    if (signal.aborted) onAbort();
    keeper.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (output.endsWith(`${READY}\n`)) settle();
    });
  });
}

const isTimeout = (reason: unknown) => reason instanceof DOMException && reason.name === "TimeoutError";

const late = (limit: string, step = "the launcher") => bootFailed(`no answer ${limit}, waiting for ${step}`);

/** Returns what a boot does at the moment: its processes have the names of steps. */
function stepOf(keeper: Launched): string {
  let [at, next]: (number | undefined)[] = [keeper.pid, keeper.children()[0]];
  while (next !== undefined) [at, next] = [next, childrenOf(next)[0]];
  return readStat(at as number)?.command ?? "a program";
}

/** The boot writes numbers of errors: their texts may be files of the VM. */
function withNames(errors: string): string {
  return errors.replace(/, error (\d+)$/gm, (_, number: string) => {
    const errno = -Number(number);
    return `: ${util.getSystemErrorName(errno)}, ${util.getSystemErrorMessage(errno)}`;
  });
}

function bootFailed(detail: string): AgentVmError {
  return new AgentVmError("boot_failed", `The VM did not boot: ${detail}`, { detail });
}

function bootArguments(request: BootRequest): string[] {
  const { mountPoint, limits, held, owner, tools, shown, cgroupProcs } = request;
  const ownership = owner === null ? "" : `,uid=${owner.uid},gid=${owner.gid}`;
  const processes = limits.processes + RESERVED_PROCESSES;
  const showsMemory = shown.some(({ target }) => target === MEMORY_FILE);
  const settings = {
    root: mountPoint,
    plan: request.planPath,
    options: `size=${held.files},nr_inodes=${limits.inodes},mode=755${ownership}`,
    uid: owner?.uid ?? -1,
    gid: owner?.gid ?? -1,
    cat: tools.cat,
    init: INIT_PATH,
    hostname: VM_HOSTNAME,
    filter: request.filter,
    empty: EMPTY_FILE,
    memory: showsMemory ? MEMORY_FILE : "",
    ipc: pairs(ipcLimits(held)),
    inotify: pairs(inotifyLimits(owner)),
    limits: pairs([[RLIMIT_NPROC, processes], ...userLimits(owner)]),
    files: request.openFiles,
    processes: limits.processes,
    perl: tools.perl,
    spawner: request.spawner,
  };
  const hidden = hiddenInProc();
  return [
    ...[Object.keys(settings).length, ...Object.entries(settings).flat()],
    ...[cgroupProcs.length, ...cgroupProcs],
    ...[hidden.length, ...hidden],
    ...shown.flatMap(({ source, target }) => [source, target]),
  ].map(String);
}

const pairs = (values: readonly (readonly [string | number, string | number])[]): string =>
  values.map(([name, value]) => `${name}=${value}`).join(",");
