import type { VmEvents } from "../api/events.ts";
import type { Env } from "../api/values.ts";
import { within } from "../base/within.ts";
import type { Sandbox } from "./sandbox/sandbox.ts";

/**
 * Time for the rooms to look at a sandbox before it ends.
 * @unit ms
 */
const LAST_LOOK_MS = 1_000;

/** Why a VM ends. */
export type EndReason = VmEvents["vmShutdown"]["reason"];

/** One part of a VM, such as its shells or its network. It takes part in the VM's life by the members that it has. */
export interface Room {
  /** Prepares a sandbox that has no files yet. The boot waits for it, and fails with its error. */
  prepare?(sandbox: Sandbox): Promise<void>;
  /** Completes a sandbox that has its files, before any action. The boot waits for it, and fails with its error. */
  complete?(sandbox: Sandbox): Promise<void>;
  /** Adds variables to the environment of every command. The command waits for them. */
  env?(): Env | Promise<Env>;
  /** A program is about to start in the sandbox that is up. The program does not wait. */
  programStarts?(): void;
  /** The sandbox is up, with its files. */
  up?(sandbox: Sandbox): void;
  /** A program runs in the VM until the promise settles. */
  running?(work: Promise<unknown>): void;
  /** The VM is about to end a sandbox that is up. The end waits at most a second. */
  beforeDown?(): Promise<void>;
  /** The sandbox goes down: it has crashed, other files take the place of these, or the VM ends. It may come up again. */
  down?(): void;
  /** The VM ends: takes no more calls and starts nothing. */
  stop?(): void;
  /** Resolves when the room has nothing left to store. Called after `stop`, when the sandbox is gone. */
  settled?(reason: EndReason): Promise<void>;
}

/** The rooms of one VM, in the order in which they were added. */
export class RoomList {
  readonly #rooms: Room[] = [];
  readonly #onFailure: (error: unknown) => void;

  /** @param onFailure receives the failure of a room in a step that no caller waits for; the other rooms go on */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  add<Added extends object>(room: Added & Room): Added {
    this.#rooms.push(room);
    return room;
  }

  /** @throws the first error of a room */
  async prepare(sandbox: Sandbox): Promise<void> {
    for (const room of this.#rooms) if (room.prepare) await room.prepare(sandbox);
  }

  /** @throws the first error of a room */
  async complete(sandbox: Sandbox): Promise<void> {
    for (const room of this.#rooms) if (room.complete) await room.complete(sandbox);
  }

  /** A program is about to start. @returns its variables */
  async programStarts(): Promise<Env> {
    this.#each((room) => room.programStarts?.());
    return Object.assign({}, ...(await Promise.all(this.#rooms.map((room) => room.env?.()))));
  }

  up(sandbox: Sandbox): void {
    this.#each((room) => room.up?.(sandbox));
  }

  running(work: Promise<unknown>): void {
    this.#each((room) => room.running?.(work));
  }

  /** Never rejects. */
  async beforeDown(): Promise<void> {
    const looks = this.#rooms.map(async (room) => await room.beforeDown?.());
    await within(Promise.allSettled(looks), LAST_LOOK_MS);
  }

  down(): void {
    this.#each((room) => room.down?.());
  }

  stop(): void {
    this.#each((room) => room.stop?.());
  }

  /** @throws the first error of a room, when every room has settled */
  async settled(reason: EndReason): Promise<void> {
    const outcomes = await Promise.allSettled(this.#rooms.map(async (room) => room.settled?.(reason)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  }

  #each(step: (room: Room) => void): void {
    for (const room of this.#rooms) {
      try {
        step(room);
      } catch (error) {
        this.#onFailure(error);
      }
    }
  }
}
