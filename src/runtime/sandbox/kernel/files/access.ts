import { closeSync, type Stats } from "node:fs";
import { vmStopped } from "../../../../api/errors.ts";
import { Mutex } from "../../../../base/mutex.ts";
import { pause } from "../../../../base/pace.ts";
import { asPosixError, type Call, posixError, type VisitOptions, type WalkOptions } from "../../posix.ts";
import { closeElsewhere, duplicateDirectory } from "./descriptors.ts";
import type { Place } from "./place.ts";
import type { Root } from "./root.ts";
import { walk } from "./walk.ts";

interface Handle {
  close(): Promise<void>;
}

/** Access to a VM's tree by the descriptor of its root. Closes all open files and the root at last. */
export class TreeAccess {
  readonly root: Root;
  readonly #handles = new Set<Handle>();
  readonly #calls = new Mutex();
  #closing: Promise<void> | null = null;

  constructor(root: Root) {
    this.root = root;
  }

  get isOpen(): boolean {
    return this.#closing === null;
  }

  /** @throws AgentVmError `vm_stopped` after `close` */
  assertOpen(): void {
    if (!this.isOpen) throw vmStopped();
  }

  /** Opens a file that `close` closes, unless it has been closed before. */
  keep<T extends Handle>(open: (onClose: () => void) => T): T {
    const handle: T = open(() => this.#handles.delete(handle));
    this.#handles.add(handle);
    return handle;
  }

  /**
   * Walks to a path and works there. Calls of one VM do so one after the other, in their order. So a thousand concurrent calls hold
   * no more descriptors than one call.
   */
  async at<T>(
    syscall: string,
    path: string,
    { follow, named = { path } }: VisitOptions,
    work: (place: Place, call: Call) => T,
  ): Promise<Awaited<T>> {
    const call: Call = { syscall, ...named };
    return await this.#calls.run(async () => {
      const turn = pause();
      if (turn !== null) await turn;
      this.assertOpen();
      try {
        const place = await walk(this.root, call, path, { follow });
        try {
          return await work(place, call);
        } finally {
          await place.close();
        }
      } catch (error) {
        throw asPosixError(error, call);
      }
    });
  }

  /** Lists a directory by its own descriptor. @param check throws if the caller may not list the directory */
  async list<T>(
    path: string,
    options: WalkOptions,
    check: (stats: Stats, call: Call) => void,
    read: (fd: number) => Promise<T>,
  ): Promise<T> {
    const fd = await this.at("scandir", path, options, (place, call) => {
      const { fd, stats } = place.existing(call);
      if (!stats.isDirectory()) throw posixError("ENOTDIR", call);
      check(stats, call);
      return duplicateDirectory(fd);
    });
    try {
      return await read(fd);
    } catch (error) {
      throw asPosixError(error, { syscall: "scandir", path });
    } finally {
      closeSync(fd);
    }
  }

  /** Waits for no other VM: calls that wait for a place in the pool fail. */
  close(): Promise<void> {
    this.root.calls.end();
    // The kernel frees all files with the last descriptor, which takes a second for a large tree. Another thread waits for it.
    // The running call may open a file.
    this.#closing ??= this.#calls.run(async () => {
      await Promise.all([...this.#handles].map((handle) => handle.close()));
      await closeElsewhere(this.root.fd);
    });
    return this.#closing;
  }
}
