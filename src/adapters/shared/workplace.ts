import { posix } from "node:path";
import { loadOnce } from "../../base/load-once.ts";
import type { VmHandle } from "../../client/index.ts";

/** A VM as the adapters take it: a handle or a connection of this package's client. */
export type AdapterVm = Omit<VmHandle, "connect" | "fetch" | "webSocket" | "resolve" | "getGatewayUrl">;

/** Working directory of a VM's commands. It exists in every VM. */
export const HOME = "/home/agentos";

/** The directory of a VM against which relative paths resolve. */
export class Workplace {
  readonly vm: AdapterVm;
  /** Absolute path. */
  readonly path: string;
  readonly #make = loadOnce(() => this.vm.mkdir(this.path, { recursive: true }));

  constructor(vm: AdapterVm, path = HOME) {
    this.vm = vm;
    this.path = posix.resolve("/", path);
  }

  /** Returns the absolute path of a path, which may be relative. */
  resolve(path: string): string {
    return posix.resolve(this.path, path);
  }

  /** Returns the working directory of a command, and creates the base directory before its first use. */
  async directory(path?: string): Promise<string> {
    if (this.path !== HOME && this.path !== "/") await this.#make();
    return path === undefined ? this.path : this.resolve(path);
  }
}
