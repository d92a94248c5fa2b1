import { existsSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { storageFailed } from "../runtime/store/coded-store.ts";
import type { StoredActor } from "./actor-files.ts";
import type { KvStorage } from "./kv-storage.ts";
import { UserError } from "./rivetkit.ts";
import { sleepOnceStored } from "./stored-sleep.ts";
import { countLoad } from "./undecoded.ts";
import { actorGone, userError } from "./user-error.ts";

/** Notes of a server about the actors of its data folder. */
export interface ActorRegister {
  /** Notes an actor that may be made. @throws AgentVmError to refuse it */
  admit(actor: Omit<StoredActor, "createdAt">): void;
  /** The name of the actor's definition in `use`; `undefined` if there is no such actor. */
  nameOf(actorId: string): { name: string } | undefined;
  /** Stores what a full disk would not take once the actor sleeps. @returns whether the actor may fall asleep now; `true` if there is room */
  maySleep(actorId: string): true | Promise<boolean>;
  /** Settles when an actor that is being deleted is gone; `undefined` if the actor is not being deleted. */
  deletionOf(actorId: string): Promise<void> | undefined;
  /** Notes that an actor is being deleted. Does nothing if that is noted already. */
  beginDeletion(actorId: string): void;
  /** Deletes the files of an actor that has ended, and the notes about it. */
  endDeletion(actorId: string): Promise<void>;
}

/** The part of RivetKit's driver of actors that starts and deletes them. */
interface LifeDriver {
  loadActor(actorId: string): Promise<Parameters<typeof sleepOnceStored>[0]>;
  startSleep?: ((actorId: string) => void) | undefined;
  startDestroy(actorId: string): unknown;
}

/** Texts of errors of the file system and of SQLite, within the errors that RivetKit makes of them. */
const STORAGE_ERROR =
  /\b(ENOSPC|EDQUOT|EROFS|EIO|ENFILE|EMFILE)\b|disk is full|disk I\/O error|unable to open database|readonly database/;

/** RivetKit's error for an actor that it has made and could not start. The actor of an unknown name is not made. */
const START_FAILED = /^Error: Failed to start actor (?!.*no actor in registry)/s;

/** RivetKit's error for an actor whose first values were never written: its creation failed half-way. */
const NEVER_MADE = /persist data has not been set/;

/**
 * Longest wait for RivetKit to end an actor that is to be deleted.
 * @unit ms
 */
const END_TIMEOUT_MS = 60_000;

/** Pause between two looks at an actor that RivetKit is ending. */
const LOOK_MS = 50;

/**
 * Starts and deletes actors.
 *
 * For RivetKit 2.2's file system driver. It lets go of an actor that falls asleep on a full disk without ending it, answers an
 * error of the disk as `internal_error`, keeps an actor that has failed to start as if it had started, does not delete an actor
 * that is falling asleep, and never settles a deletion if the actor's start fails meanwhile.
 */
export class ActorLife {
  readonly #register: ActorRegister;
  readonly #storage: KvStorage;
  readonly #onFailure: (error: unknown) => void;
  /** Number of starts under way, by actor. */
  readonly #starting = new Map<string, number>();
  readonly #deleting = new Map<string, Promise<void>>();
  /** RivetKit's own deletion. */
  #startDestroy: LifeDriver["startDestroy"] | undefined;

  /** @param onFailure receives failures that no caller waits for */
  constructor(register: ActorRegister, storage: KvStorage, onFailure: (error: unknown) => void) {
    this.#register = register;
    this.#storage = storage;
    this.#onFailure = onFailure;
  }

  /** Changes a driver in place. RivetKit makes two drivers on one folder: pass both. */
  takeOver<Driver extends LifeDriver>(driver: Driver): Driver {
    const loadActor = driver.loadActor.bind(driver);
    const startSleep = driver.startSleep?.bind(driver);
    this.#startDestroy ??= driver.startDestroy.bind(driver);
    const ours: Pick<LifeDriver, "loadActor" | "startDestroy"> = {
      loadActor: (actorId) => this.#load(actorId, loadActor, startSleep),
      // RivetKit does not wait for the result.
      startDestroy: (actorId) => this.destroy(actorId).catch(this.#onFailure),
    };
    return Object.assign(driver, ours);
  }

  isStarting(actorId: string): boolean {
    return this.#starting.has(actorId);
  }

  /** Ends an actor and deletes everything of it. Callers at the same time wait for one deletion. */
  destroy(actorId: string): Promise<void> {
    let deleting = this.#deleting.get(actorId);
    if (deleting === undefined) {
      deleting = this.#destroy(actorId).finally(() => this.#deleting.delete(actorId));
      this.#deleting.set(actorId, deleting);
    }
    return deleting;
  }

  async #destroy(actorId: string): Promise<void> {
    // From here on the actor does not start again.
    this.#register.beginDeletion(actorId);
    const deadline = performance.now() + END_TIMEOUT_MS;
    while (performance.now() < deadline) {
      if (!this.isStarting(actorId)) {
        try {
          await this.#startDestroy?.(actorId);
        } catch (error) {
          this.#onFailure(error);
        }
        // RivetKit does nothing for an actor that is falling asleep.
        if (!existsSync(this.#storage.recordOf(actorId))) break;
      }
      await delay(LOOK_MS);
    }
    await this.#storage.close(actorId);
    await this.#register.endDeletion(actorId);
  }

  async #load(
    actorId: string,
    loadActor: LifeDriver["loadActor"],
    startSleep: LifeDriver["startSleep"],
  ): ReturnType<LifeDriver["loadActor"]> {
    if (this.#register.deletionOf(actorId) !== undefined) throw actorGone(actorId);
    this.#starting.set(actorId, (this.#starting.get(actorId) ?? 0) + 1);
    try {
      const actor = await countLoad(() => loadActor(actorId));
      sleepOnceStored(actor, () => this.#register.maySleep(actorId));
      return actor;
    } catch (error) {
      const isMade = error instanceof UserError || START_FAILED.test(String(error));
      if (isMade) startSleep?.(actorId);
      if (!NEVER_MADE.test(String(error))) throw storageErrorOf(error) ?? error;
      this.destroy(actorId).catch(this.#onFailure);
      throw userError(
        storageFailed("The VM was never made whole", "its first values are missing. Try again"),
      );
    } finally {
      const left = (this.#starting.get(actorId) ?? 1) - 1;
      if (left === 0) this.#starting.delete(actorId);
      else this.#starting.set(actorId, left);
    }
  }
}

/** @returns the error for a client if the cause is the server's storage */
export function storageErrorOf(error: unknown): UserError | undefined {
  if (error instanceof UserError) return undefined;
  const text = error instanceof Error ? `${error.message} ${String(error.cause ?? "")}` : String(error);
  const detail = STORAGE_ERROR.exec(text)?.[0];
  return detail === undefined
    ? undefined
    : userError(storageFailed("The server cannot store the VM", detail));
}
