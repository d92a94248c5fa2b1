import { expect, test } from "vitest";
import { Arrival } from "../../src/actors/arrival.ts";
import type { VmState } from "../../src/actors/context.ts";
import type { ForkActor } from "../../src/actors/fork-peers.ts";
import { HEAD_KEY } from "../../src/runtime/store/keys.ts";
import { MemoryStore } from "../../src/runtime/store/store.ts";
import { failure } from "../support/until.ts";

const HEAD = new TextEncoder().encode("head");
const last = { entries: [[HEAD_KEY, HEAD]], next: null };

/** Makes a new VM whose source answers with `read`. */
function arrivalFrom(
  read: () => Promise<unknown>,
  takeSecrets: (ticket: string, sealed: string) => Promise<void> = async () => undefined,
) {
  const state: VmState = { alarms: [], fork: { actorId: "source", ticket: "t" } };
  const told: string[] = [];
  const actor: ForkActor = {
    name: "vm",
    state,
    client: () => ({ vm: { getForId: () => ({ action: read }) } }),
    destroy: () => void told.push("destroyed"),
  };
  const store = new MemoryStore();
  return {
    told,
    store,
    arrival: new Arrival(actor, { store, peer: { fork: true, token: "t" }, takeSecrets }),
  };
}

const fails = (error: object) => async () => {
  throw Object.assign(new Error("no"), error);
};

test.each([
  ["offers its files no more", { group: "user", code: "action_not_found" }],
  ["is gone", { group: "actor", code: "not_found" }],
  ["was destroyed", { group: "actor", code: "destroyed_while_waiting" }],
])("a VM whose source %s does not boot empty: it destroys itself", async (_what, error) => {
  const { arrival, told } = arrivalFrom(fails(error));
  expect(await failure(arrival.ready())).toMatchObject({ code: "vm_destroyed" });
  expect(told).toEqual(["destroyed"]);
});

test("a VM whose source cannot be reached does not boot, and takes its files with a later boot", async () => {
  let read: () => Promise<unknown> = fails({ group: "guard", code: "actor_ready_timeout" });
  const { arrival, told, store } = arrivalFrom(() => read());
  expect(await failure(arrival.ready())).toMatchObject({ code: "call_lost" });
  read = async () => last;
  await arrival.ready();
  expect([told, await store.get([HEAD_KEY])]).toEqual([[], [HEAD]]);
});

test("files that have arrived are not taken again, even if the fork did not hear it", async () => {
  const { arrival, told, store } = arrivalFrom(fails({ group: "user", code: "action_not_found" }));
  await store.put([[HEAD_KEY, HEAD]]);
  await arrival.ready();
  expect([told, arrival.isPending]).toEqual([[], true]);
  arrival.end();
  expect(arrival.isPending).toBe(false);
});

test("a server that stood still does not write over files that another one has taken", async () => {
  const { arrival, store } = arrivalFrom(async () => {
    await store.put([[HEAD_KEY, new TextEncoder().encode("newer")]]);
    return last;
  });
  await arrival.take();
  expect(await store.get([HEAD_KEY])).toEqual([new TextEncoder().encode("newer")]);
});

test("a fork that is cut off at its secrets has no files either, and takes both with a later boot", async () => {
  const taken: string[] = [];
  let isCut = true;
  const { arrival, told, store } = arrivalFrom(
    async () => ({ ...last, secrets: "sealed" }),
    async (ticket, sealed) => {
      if (isCut) throw new Error("no storage");
      taken.push(`${ticket} ${sealed}`);
    },
  );
  expect(await failure(arrival.ready())).toMatchObject({ message: "no storage" });
  expect(await store.get([HEAD_KEY])).toEqual([undefined]);
  isCut = false;
  await arrival.ready();
  expect([told, taken, await store.get([HEAD_KEY])]).toEqual([[], ["t sealed"], [HEAD]]);
});
