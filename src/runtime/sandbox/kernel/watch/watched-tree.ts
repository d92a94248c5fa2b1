import { constants } from "node:os";
import { vmStopped } from "../../../../api/errors.ts";
import { codeOfErrno, posixError } from "../../posix.ts";
import type { FileWatchRequest, FileWatchSink } from "../../watches.ts";
import { ChangeReporter } from "./change-reporter.ts";
import { EventInterpreter } from "./event-interpreter.ts";
import type { InotifyEvent } from "./inotify.ts";
import { TreeModel } from "./tree-model.ts";
import { type KernelWatchTable, TreeScanner } from "./tree-scanner.ts";
import type { WatchBudget, WatchedDirectory } from "./watched-directory.ts";

/** Budgets and kernel watches that the trees of a VM share. */
interface WatchedTreeDeps extends KernelWatchTable {
  entries: WatchBudget;
  directories: WatchBudget;
  /** Called when the watch ends by itself. */
  ended(): void;
}

/**
 * One watch. The model contains the known directories and names, the scanner watches and lists them, and the
 * interpreter turns events and listings into changes. An event and a listing may show the same change: the model
 * reports it once.
 */
export class WatchedTree {
  readonly #path: string;
  readonly #deps: WatchedTreeDeps;
  readonly #model: TreeModel;
  readonly #reporter: ChangeReporter;
  readonly #events: EventInterpreter;
  readonly #scanner: TreeScanner;
  readonly #ready = Promise.withResolvers<void>();
  #isReady = false;
  #failure: Error | undefined;
  #closed = false;

  constructor(request: FileWatchRequest, sink: FileWatchSink, deps: WatchedTreeDeps) {
    this.#path = request.path;
    this.#deps = deps;
    this.#reporter = new ChangeReporter(sink, request.path, () => this.#isReady && !this.#closed);
    this.#model = new TreeModel(request, {
      ...{ entries: deps.entries, directories: deps.directories },
      release: (directory) => deps.release(directory),
      onFull: (budget) => this.#onFull(budget),
    });
    this.#events = new EventInterpreter(this.#model, {
      report: (change) => this.#reporter.report(change),
      forget: (path) => this.#reporter.forget(path),
      follow: (parent, directory) => this.#scanner.follow(parent, directory),
      watch: (directory) => this.#scanner.watch(directory),
      requestRescan: () => this.#scanner.requestRescan(),
      onTopGone: () => this.#end(),
    });
    this.#scanner = new TreeScanner(this.#model, {
      table: deps,
      appear: (directory, name, isDirectory) => this.#events.appear(directory, name, isDirectory),
      vanish: (directory, name) => this.#events.vanish(directory, name),
      onLoss: () => this.#reporter.overflow(),
      onRefused: (directory, errno) => this.#onRefused(directory, errno),
      onListed: (directory) => this.#onListed(directory),
      onAnswered: () => {
        if (this.#failure !== undefined && !this.#isReady) this.close();
      },
      onIdle: () => this.#finishStart(),
      onLossDuringRescan: () => this.overflow(),
    });
  }

  /** Starts the watch. Resolves when the whole tree is listed and watched. */
  async start(): Promise<void> {
    const { top } = this.#model;
    this.#model.count(top);
    this.#scanner.watch(top);
    this.#scanner.flush();
    await this.#ready.promise;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.forgetMove();
    this.#scanner.close();
    this.#model.clear();
    if (!this.#isReady) this.#failure ??= vmStopped();
    this.#finishStart();
  }

  drained(): Promise<void> | null {
    return this.#reporter.drained();
  }

  /** Begins a batch of events. */
  begin(): void {
    this.#reporter.begin();
  }

  /** Handles an event about a directory of this tree. */
  onEvent(directory: WatchedDirectory, event: InotifyEvent): void {
    this.#events.onEvent(directory, event);
  }

  /** `true` if anything was reported since the batch began. */
  get hasReported(): boolean {
    return this.#reporter.hasReported;
  }

  /** Sends the requests that a batch of events has caused. */
  flush(): void {
    this.#scanner.flush();
  }

  /** Watches a directory again after the kernel has removed its watch. */
  onUnwatched(directory: WatchedDirectory): void {
    directory.wd = undefined;
    this.#scanner.watch(directory);
  }

  /** Reports that events were lost, and scans the tree again. */
  overflow(): void {
    if (this.#closed) return;
    this.#events.flushMove();
    this.#reporter.overflow();
    this.#scanner.rescan();
  }

  /** Watches the tree again, by a new watcher process. */
  restart(): void {
    this.#scanner.reset();
    this.begin();
    this.overflow();
  }

  /** Ends the watch with an error. */
  fail(error: Error): void {
    if (this.#closed) return;
    this.#failure ??= error;
    this.#end();
  }

  #onRefused(directory: WatchedDirectory, errno: number): void {
    if (!this.#isReady) this.#failure ??= this.#refusal(errno);
    else if (directory === this.#model.top) this.#end();
    else this.#scanner.leaveOut(directory, errno);
  }

  #refusal(errno: number): Error {
    const call = { syscall: "watch", path: this.#path };
    if (errno === constants.errno.ENOSPC)
      return posixError("ENOSPC", call, "the host's limit fs.inotify.max_user_watches is reached. Raise it");
    return posixError(codeOfErrno(errno), call);
  }

  /** Fails the start if the watched name does not exist. */
  #onListed(directory: WatchedDirectory): void {
    const { top, only } = this.#model;
    if (this.#isReady || directory !== top || only === undefined || top.entries.has(only)) return;
    this.#failure ??= posixError("ENOENT", { syscall: "watch", path: this.#path });
  }

  /** A budget has no room: refuses a watch that is starting, and reports an overflow for a running watch. */
  #onFull(error: Error): void {
    if (this.#isReady) this.#reporter.overflow();
    else this.#failure ??= error;
  }

  #finishStart(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    if (this.#failure !== undefined) this.#ready.reject(this.#failure);
    else this.#ready.resolve();
  }

  #end(): void {
    const { top, only } = this.#model;
    this.#events.flushMove();
    if (only !== undefined) this.#events.vanish(top, only);
    this.#reporter.report({ type: "ended", path: this.#path });
    this.close();
    this.#deps.ended();
  }
}
