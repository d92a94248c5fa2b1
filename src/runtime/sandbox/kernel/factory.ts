import { closeSync, rmSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { AgentVmError, type Capability } from "../../../api/errors.ts";
import type { Env } from "../../../api/values.ts";
import { loadOnce } from "../../../base/load-once.ts";
import { unlessAborted } from "../../../base/within.ts";
import type { VmLimits, VmOptions } from "../../options.ts";
import { bootInTurn } from "../boot-queue.ts";
import { hostCertificates } from "../host-certificates.ts";
import { assertHostHasRoom, descriptorCapacity, hostIsShort } from "../host-room.ts";
import { hasOwnUids, lackOfOwnUids, type Owner } from "../own-uids.ts";
import type { Provision } from "../provision.ts";
import type { EnforcedLimits, RuntimeDescription } from "../sandbox.ts";
import { bootVm, endKeeper } from "./boot/boot.ts";
import { findHostNode } from "./boot/host-node.ts";
import { acquireUid, releaseUid, uidsAreShort } from "./boot/host-uids.ts";
import { MEMORY_FILE, planLayout } from "./boot/layout.ts";
import { workspaceSubfolder } from "./boot/scratch-folder.ts";
import { findInherited } from "./descriptors.ts";
import { FileCalls } from "./files/calls.ts";
import { RootedFileSystem } from "./files/rooted-filesystem.ts";
import { spawnerText } from "./helpers/enter.ts";
import { countsProcesses, sharedWatches } from "./host-checks/walls.ts";
import { KernelSandbox } from "./kernel-sandbox.ts";
import { interceptionSupport } from "./network/interception-support.ts";
import { PoolPlace } from "./pool-place.ts";
import { openFilesLimit, vmCapacity } from "./processes/capacity.ts";
import { cgroupSupport, type VmCgroup } from "./processes/cgroup.ts";
import { InsideReader } from "./processes/inside-reader.ts";
import { limitsEnv } from "./processes/limits-env.ts";
import { heldMemory } from "./processes/memory-parts.ts";
import { MemoryView } from "./processes/memory-view.ts";
import { seccompSupport } from "./seccomp/support.ts";
import { findTools, type Tools } from "./tools.ts";

let factories = 0;
let booted = 0;

export interface KernelFactoryOptions {
  /** Additions to its VMs besides Node and the option `software`, read at the first boot. @default nothing */
  provisions?: () => readonly Provision[];
  /** Text of a program that replaces the spawner, for tests. */
  spawnerSource?: string;
}

/** Things that all VMs of a factory share. */
interface Prepared {
  planPath: string;
  mountPoint: string;
  tools: Tools;
  env: Env;
}

/** Boots VMs in namespaces of the host's kernel. */
export class KernelSandboxFactory {
  readonly runtime = "kernel";
  readonly capabilities: ReadonlySet<Capability> = new Set([
    "processes",
    "terminals",
    "network",
    "watches",
    "mounts",
  ]);
  readonly #options: VmOptions;
  readonly #spawnerSource: string | undefined;
  readonly #added: () => readonly Provision[];
  readonly #name = `kind-${factories++}`;
  #filter: string | undefined;
  readonly #prepare = loadOnce(() => this.#prepareOnce());

  constructor(options: VmOptions, { provisions = () => [], spawnerSource }: KernelFactoryOptions = {}) {
    this.#options = options;
    this.#spawnerSource = spawnerSource;
    this.#added = provisions;
  }

  async describe(): Promise<RuntimeDescription> {
    const lack = process.getuid?.() === 0 ? lackOfOwnUids() : undefined;
    const watches = sharedWatches();
    const isolation = [
      "kernel sandbox (user, mount, pid, net, ipc and uts namespaces, no capabilities)",
      ...(lack === undefined ? [] : [`VMs run as the server's own user (${lack})`]),
      seccompSupport(this.#options.seccomp).description,
      cgroupSupport().description,
      countsProcesses()
        ? `processes for ${vmCapacity(this.#options.limits)} VMs at their limit`
        : "no limit of processes (the kernel counts none of root)",
      `open files for ${descriptorCapacity()} VMs`,
      ...(watches === undefined
        ? []
        : [
            `one VM can end the server by taking all ${watches} watches of epoll of its user (run the server as root)`,
          ]),
    ].join(", ");
    const shared = this.#provisions().flatMap(
      ({ label, mounts = [] }) => label ?? mounts.map(({ hostPath }) => hostPath),
    );
    const { description: network } = await interceptionSupport();
    return {
      isolation,
      network,
      visible: `${[...new Set(["/usr", "certificates", "public files of /etc", ...shared])].join(", ")}; all read-only`,
    };
  }

  /** Lists all additions to its VMs: the host's authorities, the server's Node, the option `software` and those of the constructor. */
  #provisions(): Provision[] {
    return [
      hostCertificates(),
      this.#options.timezone === undefined ? {} : { env: { TZ: this.#options.timezone } },
      findHostNode().provision,
      { mounts: this.#options.software },
      ...this.#added(),
    ];
  }

  /** Makes what all its VMs share, which the first boot does otherwise: the host's configuration takes hundreds of small files. */
  async prepare(): Promise<void> {
    await this.#prepare();
  }

  boot(signal: AbortSignal, limits: VmLimits = this.#options.limits): Promise<KernelSandbox> {
    return bootInTurn(signal, async () => {
      assertHostHasRoom();
      const sandbox = await this.#boot(signal, limits);
      try {
        await unlessAborted(sandbox.prepared, signal);
        return sandbox;
      } catch (error) {
        await sandbox.dispose();
        throw error;
      }
    });
  }

  async enforced(limits: VmLimits): Promise<EnforcedLimits> {
    const isEnforced = cgroupSupport().create !== undefined;
    return { filesystemBytes: heldMemory(limits, isEnforced).files, memory: isEnforced };
  }

  isShort(): boolean {
    return hostIsShort() || uidsAreShort();
  }

  async #boot(signal: AbortSignal, limits: VmLimits): Promise<KernelSandbox> {
    const { planPath, mountPoint, tools, env } = await this.#prepare();
    findInherited();
    const owner = takeOwner();
    const name = `vm-${booted++}`;
    const spawner = this.#spawnerSource ?? spawnerText(tools.perl, owner);
    const release = () => {
      if (owner !== null) releaseUid(owner.uid);
    };
    let cgroup: VmCgroup | undefined;
    let memory: MemoryView | undefined;
    try {
      cgroup = cgroupSupport().create?.(name, limits);
      memory = cgroup && new MemoryView(`${mountPoint}.${name}.meminfo`, cgroup, limits);
      this.#filter ??= seccompSupport(this.#options.seccomp).filter;
      const filter = this.#filter;
      const openFiles = openFilesLimit(limits.openFiles);
      const shown = cgroup && memory ? [...cgroup.mounts, { source: memory.path, target: MEMORY_FILE }] : [];
      const vm = await bootVm({
        ...{ planPath, mountPoint, shown, cgroupProcs: cgroup?.procs ?? [] },
        ...{ limits, openFiles, owner, tools, filter, spawner, signal },
        held: heldMemory(limits, cgroup !== undefined),
      });
      const place = new PoolPlace();
      try {
        const files: RootedFileSystem = new RootedFileSystem({
          rootFd: vm.rootFd,
          owner,
          readInside: (...file) => inside.read(...file),
          perl: tools.perl,
          calls: new FileCalls(() => sandbox.isQuiet, place),
        });
        const sandbox: KernelSandbox = new KernelSandbox({
          vm,
          files,
          owner,
          limits,
          env: cgroup === undefined ? env : { ...env, ...limitsEnv(limits) },
          cgroup,
          memory,
          tools,
          filter,
          openFiles,
          spawner,
          place,
          release,
        });
        const inside = new InsideReader((request) => sandbox.processes.spawn(request), tools.cat);
        return sandbox;
      } catch (error) {
        vm.spawner?.release();
        closeSync(vm.rootFd);
        closeSync(vm.procFd);
        await endKeeper(vm.keeper);
        throw error;
      }
    } catch (error) {
      memory?.close();
      await cgroup?.remove();
      release();
      throw error;
    }
  }

  async close(): Promise<void> {
    const prepared = this.#prepare.peek();
    if (prepared === undefined) return;
    this.#prepare.forget();
    await prepared.catch(() => undefined);
    await rm(workspaceSubfolder(this.#name), { recursive: true, force: true });
  }

  async #prepareOnce(): Promise<Prepared> {
    const folder = workspaceSubfolder(this.#name);
    try {
      const tools = findTools();
      const provisions = this.#provisions();
      const plan = await planLayout(folder, provisions, tools, {
        timezone: this.#options.timezone,
        ...cgroupSupport(),
        showsMemory: cgroupSupport().create !== undefined,
      });
      const mountPoint = workspaceSubfolder(`${this.#name}/root`);
      const planPath = `${mountPoint}.plan`;
      writeFileSync(planPath, plan);
      const env: Env = Object.assign({}, ...provisions.map((provision) => provision.env));
      return { planPath, mountPoint, tools, env };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      const detail = error instanceof Error ? error.message : String(error);
      throw new AgentVmError(
        "boot_failed",
        `The VM cannot be set up: ${detail}`,
        { detail },
        { cause: error },
      );
    }
  }
}

/** Takes a host uid for a VM of a root server that may give uids. VMs of another server run as the server's user: `null`. */
function takeOwner(): Owner | null {
  if (!hasOwnUids()) return null;
  const uid = acquireUid();
  return { uid, gid: uid };
}
