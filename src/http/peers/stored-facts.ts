import { z } from "zod";
import type { Labels } from "../../api/methods/machine.ts";
import { Semaphore } from "../../base/semaphore.ts";
import { readStored } from "../../client/rivet/http.ts";
import { storedKey } from "../../rivet/stored-keys.ts";
import { MACHINE_KEY, SIZE_KEY } from "../../runtime/store/keys.ts";
import { tryDecodeJson } from "../../runtime/store/store.ts";
import type { EngineActors } from "./engine-actors.ts";
import { MAX_PEER_FACTS } from "./limits.ts";

const recordSchema = z.object({ labels: z.record(z.string(), z.string()) });
const sizeSchema = z.number();

/** Facts that VMs have stored of themselves. The engine tells them and wakes no VM. */
export class StoredFacts {
  readonly #actors: EngineActors;
  readonly #places = new Semaphore(MAX_PEER_FACTS);

  constructor(actors: EngineActors) {
    this.#actors = actors;
  }

  /** @throws AgentVmError, UserError if the engine does not answer */
  async labelsOf(actorId: string): Promise<Labels> {
    return (await this.#read(actorId, MACHINE_KEY, recordSchema))?.labels ?? {};
  }

  /** Bytes of its files when they were last measured. @throws AgentVmError, UserError if the engine does not answer */
  async bytesOf(actorId: string): Promise<number> {
    return (await this.#read(actorId, SIZE_KEY, sizeSchema)) ?? 0;
  }

  async #read<Value>(actorId: string, key: string, schema: z.ZodType<Value>): Promise<Value | undefined> {
    const stored = storedKey(key);
    const value = await this.#actors.ask((engine) => readStored(engine, actorId, stored), {
      places: this.#places,
    });
    return value && schema.safeParse(tryDecodeJson(value)).data;
  }
}
