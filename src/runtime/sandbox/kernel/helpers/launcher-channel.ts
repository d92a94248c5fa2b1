import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { Socket } from "node:net";

/** Descriptor of Node's channel in the launcher, and in programs that have it. */
export const CHANNEL_FD = 3;

/** Takes the messages of a program that passes sockets. */
export type OnPassed = (message: object, handle: unknown) => void;

/** Messages of the programs of a launcher. Each has the secret name of its launch, so no program can guess another program's. */
export class LauncherChannel {
  readonly #listeners = new Map<string, OnPassed>();
  /** Names by the ids of launches. */
  readonly #names = new Map<number, string>();

  constructor(launcher: ChildProcess) {
    launcher.on("message", (message: { of?: string } | null, handle: unknown) => {
      const listener = this.#listeners.get(message?.of ?? "");
      if (listener !== undefined && message !== null) listener(message, handle);
      else closeHandle(handle);
    });
  }

  /** Returns the name of a launch; `undefined` if nobody listens to its program. */
  nameOf(id: number): string | undefined {
    return this.#names.get(id);
  }

  listen(id: number, onPassed: OnPassed): void {
    const name = randomBytes(16).toString("hex");
    this.#names.set(id, name);
    this.#listeners.set(name, onPassed);
  }

  unlisten(id: number): void {
    this.#listeners.delete(this.#names.get(id) ?? "");
    this.#names.delete(id);
  }

  /** Forgets all programs. */
  close(): void {
    this.#listeners.clear();
    this.#names.clear();
  }
}

/** Closes a socket that nobody waits for any more. */
export function closeHandle(handle: unknown): void {
  if (handle instanceof Socket) handle.destroy();
  else if (
    typeof handle === "object" &&
    handle !== null &&
    "close" in handle &&
    typeof handle.close === "function"
  )
    handle.close();
}
