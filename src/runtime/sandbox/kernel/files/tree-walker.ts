import { closeSync, fstatSync, openSync } from "node:fs";
import { pause } from "../../../../base/pace.ts";
import type { TreePlace } from "../../persistent-tree.ts";
import { asPosixError, type Call, posixError } from "../../posix.ts";
import { ROOT } from "../../tree-path.ts";
import type { TreeAccess } from "./access.ts";
import { at, DIRECTORY } from "./descriptors.ts";
import type { Root } from "./root.ts";

/**
 * Walks a VM's tree with one open directory. A step down opens a name in that directory without following links. A step up
 * opens `..` and counts only if it leads to the directory from which the walker came. No step leaves the VM's device.
 */
export class TreeWalker {
  readonly #root: Root;
  readonly #access: TreeAccess;
  /** Directory that is open, or `undefined` for the root. */
  #fd: number | undefined;
  /** Directories from the root, without it, to the open one. */
  readonly #way: { place: TreePlace; ino: number }[] = [];
  #running: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(access: TreeAccess) {
    this.#root = access.root;
    this.#access = access;
  }

  /** Waits for the running work, whose next step fails, as later work does, with EBADF. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#running.catch(() => undefined);
    this.#restart();
  }

  /** Works with the descriptor of a directory. The walker's next step may close it. */
  in<Result>(
    directory: TreePlace | null,
    call: Call,
    work: (fd: number) => Result | Promise<Result>,
  ): Promise<Result> {
    const running = this.#workIn(directory ?? ROOT, call, work);
    this.#running = running;
    return running;
  }

  async #workIn<Result>(
    directory: TreePlace,
    call: Call,
    work: (fd: number) => Result | Promise<Result>,
  ): Promise<Result> {
    await this.#turn(call);
    try {
      await this.#walkTo(directory, call);
      return await work(this.#fd ?? this.#root.fd);
    } catch (error) {
      throw asPosixError(error, call);
    }
  }

  /** Lets the event loop turn if it is time. */
  async #turn(call: Call): Promise<void> {
    const turn = pause();
    if (turn !== null) await turn;
    this.#access.assertOpen();
    if (this.#isClosed) throw posixError("EBADF", call);
  }

  async #walkTo(target: TreePlace, call: Call): Promise<void> {
    const way = this.#way;
    const down: TreePlace[] = [];
    let common = target;
    for (; !this.#isOnWay(common); common = common.parent ?? ROOT) down.push(common);
    if (way.length - common.depth > common.depth) {
      // The root is nearer.
      for (const { place } of way.slice(0, common.depth).reverse()) down.push(place);
      this.#restart();
    }
    while (way.length > common.depth && this.#up()) await this.#turn(call);
    if (way.length > common.depth) {
      // A process has moved a directory.
      for (const { place } of way.slice(0, common.depth).reverse()) down.push(place);
      this.#restart();
    }
    for (const place of down.reverse()) {
      await this.#down(place, call);
      await this.#turn(call);
    }
  }

  #isOnWay(place: TreePlace): boolean {
    return place.depth === 0 || this.#way[place.depth - 1]?.place === place;
  }

  #restart(): void {
    this.#way.length = 0;
    this.#enter(undefined);
  }

  /** @returns `false` if the directory above is not the one from which the cursor came */
  #up(): boolean {
    const above = this.#way.at(-2);
    if (above !== undefined) {
      const fd = openSync(at(this.#fd ?? this.#root.fd, ".."), DIRECTORY);
      const stats = fstatSync(fd);
      if (stats.ino !== above.ino || this.#root.isForeign(stats)) {
        closeSync(fd);
        return false;
      }
      this.#enter(fd);
    } else this.#enter(undefined);
    this.#way.pop();
    return true;
  }

  async #down(place: TreePlace, call: Call): Promise<void> {
    const fd = await this.#root.calls.open(at(this.#fd ?? this.#root.fd, place.name), DIRECTORY);
    const stats = fstatSync(fd);
    if (this.#root.isForeign(stats) || (place.ino !== undefined && place.ino !== stats.ino)) {
      closeSync(fd);
      throw posixError(this.#root.isForeign(stats) ? "EXDEV" : "ENOENT", call);
    }
    this.#enter(fd);
    this.#way.push({ place, ino: stats.ino });
  }

  #enter(fd: number | undefined): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = fd;
  }
}
