import { mkdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import type { Tools } from "../tools.ts";
import type { HostMount } from "./host-mounts.ts";
import { takesOverlay } from "./overlay-trial.ts";

/**
 * Shows a VM folders of the host without their sockets and FIFOs. A read-only mount stops neither connect(2) nor writing to a
 * FIFO. So each VM sees a folder through an overlay of its own: the kernel gives it other inodes, to which no program of the
 * host listens. Locks and watches of files are the VM's own, too.
 *
 * The folder is the upper of two layers. The other is empty, because the kernel demands two.
 */
export class Shield {
  /** An empty folder, the lower of the two layers. */
  readonly empty: string;
  readonly #folder: string;
  readonly #tools: Tools;
  #count = 0;

  /** @param folder a folder to make, for links to the layers */
  constructor(folder: string, tools: Tools) {
    this.#folder = folder;
    this.empty = join(folder, "empty");
    this.#tools = tools;
    mkdirSync(this.empty, { recursive: true });
  }

  /**
   * @returns the mount with a layer. A file stays as it is, and so does a folder of which this host can make no overlay
   * @throws Error if the host cannot say now whether it can
   */
  async cover(mount: HostMount): Promise<HostMount> {
    const stats = statSync(mount.source);
    if (stats.isFile()) return mount;
    if (!stats.isDirectory()) throw new Error(`${mount.source} is neither a file nor a directory`);
    // A link, since the options of a mount have no room for commas and colons.
    const layer = join(this.#folder, String(this.#count++));
    symlinkSync(mount.source, layer);
    const works = await takesOverlay(this.layers(layer), this.empty, this.#tools);
    return works ? { ...mount, layer } : mount;
  }

  /** The option of mount(8) that names the layers. */
  layers(layer: string): string {
    return `lowerdir=${layer}:${this.empty}`;
  }
}
