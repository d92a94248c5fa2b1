import { closeSync, rmSync, writeFileSync } from "node:fs";
import { AgentVmError } from "../../../api/errors.ts";
import type { SoftwareMount, VmOptions } from "../../options.ts";
import type { Sandbox, SandboxFactory } from "../sandbox.ts";
import { bootVm, endKeeper } from "./boot.ts";
import { cgroupSupport } from "./cgroup.ts";
import { findHostNode } from "./host-node.ts";
import { acquireUid, releaseUid } from "./identity.ts";
import { InsideReader } from "./inside-reader.ts";
import { KernelSandbox } from "./kernel-sandbox.ts";
import { type Layout, prepareLayout } from "./layout.ts";
import { RootedFileSystem } from "./rooted/rooted-filesystem.ts";
import type { StarterKind } from "./start/starter.ts";
import { findTools, type Tools } from "./tools.ts";
import { workspaceSubfolder } from "./workspace.ts";

let factories = 0;
let booted = 0;

/** Boots VMs in namespaces of the host's kernel. */
export class KernelSandboxFactory implements SandboxFactory {
  readonly #options: VmOptions;
  readonly #starter: StarterKind | undefined;
  readonly #more: () => readonly SoftwareMount[];
  readonly #name = `kind-${factories++}`;
  #prepared: { layout: Layout; mountPoint: string; fstabPath: string; tools: Tools } | undefined;

  /**
   * @param starter for tests: each host has one that suits it best
   * @param more what of the host its VMs see besides `software`, as of the first boot; left out once it is gone
   */
  constructor(options: VmOptions, starter?: StarterKind, more: () => readonly SoftwareMount[] = () => []) {
    this.#options = options;
    this.#starter = starter;
    this.#more = more;
  }

  get shell(): string {
    return findTools().bash ?? "sh";
  }

  get isolation(): string {
    return `kernel sandbox (user, mount, pid, net, ipc and uts namespaces, no capabilities), ${cgroupSupport().description}`;
  }

  get visible(): string {
    const { hasNpm } = findHostNode();
    const mounts = [...this.#options.software, ...this.#more()];
    const software = new Set(mounts.map(({ hostPath }) => hostPath));
    const shared = [
      "/usr",
      "certificates",
      hasNpm ? "the server's Node with npm" : "the server's Node",
      ...software,
    ];
    return `${shared.join(", ")}; all read-only`;
  }

  async boot(signal: AbortSignal): Promise<Sandbox> {
    const { layout, mountPoint, fstabPath, tools } = this.#prepare();
    const { limits } = this.#options;
    const owner = takeOwner();
    const cgroup = cgroupSupport().create?.(`vm-${booted++}`, limits);
    const release = () => {
      if (owner !== null) releaseUid(owner.uid);
    };
    try {
      const vm = await bootVm({ layout, mountPoint, fstabPath, limits, owner, tools, signal });
      try {
        const files: RootedFileSystem = new RootedFileSystem({
          rootFd: vm.rootFd,
          owner,
          readInside: (...file) => inside.read(...file),
          perl: tools.perl,
        });
        const sandbox = new KernelSandbox({
          vm,
          files,
          owner,
          limits,
          cgroup,
          tools,
          starter: this.#starter,
          release,
        });
        const inside = new InsideReader((request) => sandbox.spawn(request), tools.cat);
        return sandbox;
      } catch (error) {
        closeSync(vm.rootFd);
        closeSync(vm.procFd);
        await endKeeper(vm.keeper);
        throw error;
      }
    } catch (error) {
      await cgroup?.remove();
      release();
      throw error;
    }
  }

  #prepare() {
    this.#prepared ??= this.#lookAround();
    return this.#prepared;
  }

  #lookAround() {
    const folder = workspaceSubfolder(this.#name);
    try {
      const tools = findTools();
      const layout = prepareLayout(
        workspaceSubfolder(`${this.#name}/template`),
        findHostNode(),
        this.#options.software,
        this.#more(),
      );
      const mountPoint = workspaceSubfolder(`${this.#name}/root`);
      const fstabPath = `${mountPoint}.fstab`;
      writeFileSync(fstabPath, layout.fstab(mountPoint));
      return { layout, mountPoint, fstabPath, tools };
    } catch (error) {
      rmSync(folder, { recursive: true, force: true });
      const detail = error instanceof Error ? error.message : String(error);
      throw new AgentVmError(
        "boot_failed",
        `The VM cannot be put together: ${detail}`,
        { detail },
        { cause: error },
      );
    }
  }
}

/** A root server runs each VM under a host uid of its own; anyone else's VMs run as the server does. */
function takeOwner(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return null;
  const uid = acquireUid();
  return { uid, gid: uid };
}
