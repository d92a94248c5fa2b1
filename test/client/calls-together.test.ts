import { expect, test } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { MAX_CALLS_TOGETHER } from "../../src/api/limits.ts";
import type { CallRequest } from "../../src/api/methods/transport.ts";
import { CallChannel } from "../../src/client/calls.ts";
import { Link } from "../../src/client/link.ts";
import type { RawConnection, RawHandle } from "../../src/client/rivet/raw.ts";
import { failure } from "../support/until.ts";

const TICKET = { instanceId: "one", answers: true, together: true };

/** Names of the calls of a message. */
type Message = [method: string, ...calls: string[]];

/**
 * A channel to a fake server that answers each call with its name.
 *
 * @param ticket answer of the server
 * @param refuse refuses a message
 */
async function channelTo(
  ticket: object = TICKET,
  refuse: (message: Message) => Error | undefined = () => undefined,
) {
  const messages: Message[] = [];
  let settle: (event: object) => void = () => undefined;
  let tell: (status: "connected") => void = () => undefined;
  const raw: Partial<RawConnection> = {
    async action({ name, args }) {
      if (name !== "beginCall" && name !== "beginCalls") {
        if (name === "abandonCall") messages.push([name]);
        return ticket;
      }
      const requests = [args[0]].flat() as CallRequest[];
      const message: Message = [name, ...requests.map(({ action }) => action)];
      messages.push(message);
      const refusal = refuse(message);
      if (refusal) throw refusal;
      for (const { callId, action } of requests) settle({ callId, outcome: { ok: true, output: action } });
      return ticket;
    },
    on(_event, callback) {
      settle = callback;
      return () => undefined;
    },
    onError: () => undefined,
    onStatusChange(callback) {
      tell = callback;
    },
    dispose: async () => undefined,
  };
  const handle = { resolve: async () => "actor", connect: () => raw } as Partial<RawHandle>;
  const link = new Link(handle as RawHandle);
  const channel = new CallChannel(link, { isPatient: true });
  const first = channel.call("first", []);
  await new Promise((resolve) => setImmediate(resolve));
  tell("connected");
  await first;
  messages.length = 0;
  return { channel, messages };
}

test("calls that are made at once begin with one message, in their order", async () => {
  const { channel, messages } = await channelTo();
  expect(await Promise.all(["a", "b", "c"].map((name) => channel.call(name, [])))).toEqual(["a", "b", "c"]);
  expect(await channel.call("d", [])).toBe("d");
  expect(messages).toEqual([
    ["beginCalls", "a", "b", "c"],
    ["beginCall", "d"],
  ]);
});

test("a message begins MAX_CALLS_TOGETHER calls at most", async () => {
  const { channel, messages } = await channelTo();
  await Promise.all(
    Array.from({ length: MAX_CALLS_TOGETHER + 1 }, (_, index) => channel.call(`${index}`, [])),
  );
  expect(messages.map((message) => message.length - 1)).toEqual([MAX_CALLS_TOGETHER, 1]);
});

test("a call with large arguments has a message of its own, and keeps its place", async () => {
  const { channel, messages } = await channelTo();
  const large = new Uint8Array(100_000);
  await Promise.all([
    channel.call("a", []),
    channel.call("b", []),
    channel.call("large", [large]),
    channel.call("c", []),
  ]);
  expect(messages).toEqual([
    ["beginCalls", "a", "b"],
    ["beginCall", "large"],
    ["beginCall", "c"],
  ]);
});

test("each call of a refused message begins by itself, and only the refused call fails", async () => {
  const { channel, messages } = await channelTo(TICKET, (message) =>
    message.includes("bad") ? new AgentVmError("invalid_argument", "Refused") : undefined,
  );
  const bad = failure(channel.call("bad", []));
  expect(await channel.call("good", [])).toBe("good");
  expect(await bad).toMatchObject({ code: "invalid_argument" });
  expect(messages).toEqual([
    ["beginCalls", "bad", "good"],
    ["beginCall", "bad"],
    ["beginCall", "good"],
  ]);
});

test("a call that is aborted at once never begins", async () => {
  const { channel, messages } = await channelTo();
  const aborting = new AbortController();
  const aborted = failure(channel.call("a", [], aborting.signal));
  const other = channel.call("b", []);
  aborting.abort(new Error("No longer"));
  expect((await aborted).message).toBe("No longer");
  expect(await other).toBe("b");
  expect(messages.filter(([method]) => method !== "abandonCall")).toEqual([["beginCall", "b"]]);
});

test("a server of an earlier release gets a message for each call", async () => {
  const { channel, messages } = await channelTo({ instanceId: "one", answers: true });
  await Promise.all([channel.call("a", []), channel.call("b", [])]);
  expect(messages).toEqual([
    ["beginCall", "a"],
    ["beginCall", "b"],
  ]);
});

test("calls that are about to leave when the channel ends reach the server", async () => {
  const { channel, messages } = await channelTo();
  const calls = Promise.allSettled(["a", "b"].map((name) => channel.call(name, [])));
  channel.fail(new AgentVmError("connection_lost", "over"));
  await calls;
  expect(messages[0]).toEqual(["beginCalls", "a", "b"]);
});
