import { AgentVmError, vmStopped } from "../api/errors.ts";
import { unlessAborted } from "../base/within.ts";
import { type Boot, type BootOptions, closeBoot, openBoot, openWithRooms } from "./boot.ts";
import { type BootEvents, BootHooks } from "./boot-hooks.ts";
import type { VmLimits } from "./options.ts";
import type { Persistence } from "./persistence/persistence.ts";
import { noStorage } from "./persistence/stored-snapshots.ts";
import type { EndReason, RoomList } from "./room.ts";
import type { SandboxFactory } from "./sandbox/sandbox.ts";

/** Codes of boots that the server refused and did not try. */
const REFUSALS: ReadonlySet<string> = new Set(["limit_exceeded", "server_full"]);

/**
 * The boots of one VM. The first call boots it. It goes down when the sandbox crashes, when other files take the place of
 * these, when it rests, or when the VM ends. The next call boots it again, except after the end.
 */
export class BootCycle {
  readonly #factory: SandboxFactory;
  readonly #options: BootOptions;
  readonly #rooms: RoomList;
  readonly #events: BootEvents;
  readonly #hooks: BootHooks;
  /** Limits of the next boot. */
  #limits: VmLimits;
  #boot: Promise<Boot> | undefined;
  #live: Boot | undefined;
  #isGreeting = false;
  /** When the last boot was up. */
  #upAt = 0;
  #allowMissing = false;
  /** Pending while other files are put in place; a boot waits for it. */
  #replacement: Promise<void> | undefined;
  readonly #cancel = new AbortController();
  #ending: Promise<void> | undefined;

  constructor(factory: SandboxFactory, options: BootOptions, rooms: RoomList, events: BootEvents) {
    this.#factory = factory;
    this.#options = options;
    this.#limits = options.options.limits;
    this.#rooms = rooms;
    this.#events = events;
    this.#hooks = new BootHooks(events);
  }

  /** The boot that is up. */
  get live(): Boot | undefined {
    return this.#live;
  }

  /** Limits of the VM. */
  get limits(): VmLimits {
    return this.#limits;
  }

  /** Sets the limits of the next boot. The sandbox of the running boot applies the limits that it can change. */
  setLimits(limits: VmLimits): void {
    this.#limits = limits;
    this.#live?.sandbox.setLimits?.(limits);
  }

  get isEnding(): boolean {
    return this.#ending !== undefined;
  }

  /** `true` while the processes of a boot are being ended. */
  get isGoingDown(): boolean {
    return this.isEnding || this.#replacement !== undefined;
  }

  /** Boots if the VM is down. A hundred callers boot it once; after a failure the next caller tries again. */
  booted(): Promise<Boot> {
    if (this.#hooks.isInside) {
      return this.#live === undefined ? Promise.reject(vmStopped()) : Promise.resolve(this.#live);
    }
    if (this.#ending !== undefined) return Promise.reject(vmStopped());
    if (this.#boot === undefined) {
      const boot = this.#start();
      this.#boot = boot;
      // A failed boot is not kept.
      boot.catch(() => {
        if (this.#boot === boot) this.#boot = undefined;
      });
    }
    return this.#boot;
  }

  /** The boot that is up or on its way up. */
  async upcoming(): Promise<Boot | undefined> {
    if (this.#hooks.isInside) return this.#live;
    return await this.#boot?.catch(() => undefined);
  }

  /** Boots a VM that has storage. @throws AgentVmError `no_storage` */
  async durable(): Promise<Boot & { persistence: Persistence }> {
    const boot = await this.booted();
    const { persistence } = boot;
    if (persistence === undefined) throw noStorage();
    return { ...boot, persistence };
  }

  /**
   * Boots, again if the files of this boot could not be restored whole.
   *
   * @param options `allowMissing` leaves out files whose content is lost
   * @throws AgentVmError `storage_damaged`
   */
  async restore({ allowMissing }: { allowMissing: boolean }): Promise<void> {
    const live = this.#live;
    if (live?.persistence?.damage !== undefined) await this.replace(live, async () => undefined);
    this.#allowMissing = allowMissing;
    try {
      const { persistence } = await this.booted();
      if (persistence?.damage !== undefined) throw persistence.damage;
    } finally {
      this.#allowMissing = false;
    }
  }

  /**
   * Ends every process and lets `adopt` put other files in place of these. The next call boots with them. If `adopt`
   * fails, the files stay as the processes left them.
   */
  async replace(booted: Boot, adopt: () => Promise<void>): Promise<void> {
    await this.#hooks.stopping("sleep");
    if (this.#live !== booted) throw vmStopped();
    this.#boot = undefined;
    this.#live = undefined;
    // The next call boots, and must find this one done.
    const done = this.#replace(booted, adopt);
    this.#holdBoots(done);
    await done;
  }

  get isBooting(): boolean {
    return this.#boot !== undefined && (this.#live === undefined || this.#isGreeting);
  }

  /**
   * Stores the files and ends every process. The next call boots again. Does nothing if the VM is down.
   *
   * @throws AgentVmError `no_storage`; `storage_failed`, and the VM stays up
   */
  async rest(): Promise<void> {
    if (this.#ending !== undefined) throw vmStopped();
    if (this.#options.store === undefined) throw noStorage();
    const booted = await this.upcoming();
    if (booted === undefined) return await this.#replacement;
    // The files must be stored before the processes end: a failure then loses nothing.
    await booted.persistence?.checkpoint();
    await this.#hooks.stopping("sleep");
    // The hooks take time, in which another boot may have begun.
    if (this.#live !== booted) return await this.#replacement;
    await this.#rooms.beforeDown();
    if (this.#live !== booted) return await this.#replacement;
    this.#boot = undefined;
    this.#live = undefined;
    const done = this.#rest(booted);
    this.#holdBoots(done);
    await done;
  }

  /** Tells the server's code once that the boot goes down, and waits for it. Never rejects. */
  tellStop(reason: EndReason): Promise<void> {
    return this.#hooks.stopping(reason);
  }

  /** Ends everything inside and lets go of everything outside. Idempotent. */
  end(reason: EndReason): Promise<void> {
    this.#ending ??= this.#end(reason);
    return this.#ending;
  }

  /** Makes the next boot wait until an earlier one is gone. */
  #holdBoots(gone: Promise<void>): void {
    const held = gone
      .catch(() => undefined)
      .then(() => {
        if (this.#replacement === held) this.#replacement = undefined;
      });
    this.#replacement = held;
  }

  async #start(): Promise<Boot> {
    const startedAt = performance.now();
    const ms = () => performance.now() - startedAt;
    try {
      const booted = await this.#bootUp();
      this.#options.report({ kind: "booted", ms: ms() });
      return booted;
    } catch (error) {
      // A quota refuses a boot, and the end of the VM cancels one. Neither is a failure.
      const isRefused = error instanceof AgentVmError && REFUSALS.has(error.code);
      if (this.#ending === undefined && !isRefused)
        this.#options.report({ kind: "bootFailed", ms: ms(), error });
      throw error;
    }
  }

  async #bootUp(): Promise<Boot> {
    await this.#replacement;
    await unlessAborted(this.#events.beforeBoot(), this.#cancel.signal);
    const sandbox = await this.#factory.boot(this.#cancel.signal, this.#limits);
    if (this.#ending !== undefined) {
      await sandbox.dispose();
      throw vmStopped();
    }
    try {
      const open = () => openBoot(sandbox, { ...this.#options, allowMissing: this.#allowMissing });
      const booted = await openWithRooms(sandbox, this.#rooms, open, this.#cancel.signal);
      this.#live = booted;
      this.#upAt = performance.now();
      void sandbox.crashed.then(() => this.#crash(booted));
      await this.#greet(booted);
      this.#events.booted(booted.persistence?.putBack ?? []);
      const damage = booted.persistence?.damage;
      if (damage !== undefined) this.#events.readOnly(damage);
      this.#rooms.up(sandbox);
      return booted;
    } catch (error) {
      await sandbox.dispose();
      throw error;
    }
  }

  /** Lets the server's code prepare a boot. @throws Error of that code, with the boot ended */
  async #greet(booted: Boot): Promise<void> {
    this.#isGreeting = true;
    try {
      await unlessAborted(this.#hooks.starting(), this.#cancel.signal);
      if (this.#live !== booted) throw vmStopped();
      this.#hooks.started();
    } catch (error) {
      if (this.#live !== booted) throw error;
      this.#live = undefined;
      this.#rooms.down();
      await closeBoot(booted, { keep: true }).catch(this.#options.onFailure);
      throw error;
    } finally {
      this.#isGreeting = false;
    }
  }

  /** The sandbox has ended by itself. Its rest is released, and the next call boots a new one. */
  #crash(booted: Boot): void {
    if (this.#ending !== undefined) return;
    this.#boot = undefined;
    this.#live = undefined;
    this.#down("error", performance.now());
    this.#rooms.down();
    // The next boot restores what this one keeps.
    const closed = closeBoot(booted, { keep: true }).catch(this.#options.onFailure);
    this.#holdBoots(Promise.all([closed, this.#hooks.stopping("error")]).then(() => undefined));
  }

  async #replace(booted: Boot, adopt: () => Promise<void>): Promise<void> {
    const since = performance.now();
    this.#rooms.down();
    let isReplaced = false;
    try {
      await booted.sandbox.halt();
      await adopt();
      isReplaced = true;
    } finally {
      await closeBoot(booted, { keep: !isReplaced }).catch(this.#options.onFailure);
      this.#down("sleep", since);
    }
  }

  async #rest(booted: Boot): Promise<void> {
    const since = performance.now();
    this.#rooms.down();
    try {
      await closeBoot(booted, { keep: true });
    } finally {
      this.#down("sleep", since);
    }
  }

  async #end(reason: EndReason): Promise<void> {
    this.#cancel.abort(vmStopped());
    // A boot that fails now has cleaned up after itself.
    const booted = await this.#boot?.catch(() => undefined);
    // A VM that is destroyed needs no files. A VM that another instance has replaced cannot store any.
    const keep = reason === "sleep";
    if (keep) await this.#replacement;
    if (booted === undefined) return;
    const since = performance.now();
    if (keep) await this.#rooms.beforeDown();
    this.#rooms.down();
    try {
      await closeBoot(booted, { keep });
    } finally {
      this.#down(reason, since);
    }
  }

  /** Tells that the sandbox is down, whose end began at a time. */
  #down(reason: EndReason, since: number): void {
    this.#events.shutDown(reason);
    const ms = performance.now() - since;
    this.#options.report({ kind: "down", reason, ms, awakeMs: since - this.#upAt });
  }
}
