import { Runner } from "@rivetkit/engine-runner";

/**
 * A server of the engine's with one actor, as RivetKit's engine driver runs it: stores numbered values under one key, one
 * after another, and prints what the engine answers. Started by tests: `node late-writer.ts ENDPOINT NAME`.
 */
const [, , endpoint = "", name = ""] = process.argv;
const KEY = new TextEncoder().encode("head");
const say = (line: string) => void process.stdout.write(`${line}\n`);

const runner = new Runner({
  version: 1,
  endpoint,
  namespace: "default",
  totalSlots: 1,
  runnerName: "writers",
  prepopulateActorNames: { writer: { metadata: {} } },
  onConnected: () => say("connected"),
  onDisconnected: () => say("disconnected"),
  onShutdown: () => undefined,
  fetch: async () => new Response(),
  websocket: async () => undefined,
  hibernatableWebSocket: { canHibernate: () => false },
  onActorStart: async (actorId) => {
    say("started");
    void write(actorId);
  },
  onActorStop: async () => say("stopped"),
});

/** Goes on after the actor's end too, as an instance would that does not know of it. */
async function write(actorId: string): Promise<never> {
  for (let count = 0; ; count++) {
    await runner.kvPut(actorId, [[KEY, new TextEncoder().encode(`${name} ${count}`)]]).then(
      () => say(`stored ${name} ${count}`),
      (error: Error) => say(`refused: ${error.message}`),
    );
    const [value] = await runner.kvGet(actorId, [KEY]).catch(() => [null]);
    if (value) say(`read ${new TextDecoder().decode(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

await runner.start();
