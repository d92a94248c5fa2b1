import type { ActorConnStatus } from "rivetkit/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import {
  ASK_AGAIN_MS,
  CONNECT_TIMEOUT_MS,
  HEARTBEAT_INTERVAL_MS,
  MAX_RECONNECT_DELAY_MS,
  SILENCE_TIMEOUT_MS,
} from "../../src/client/limits.ts";
import { Link } from "../../src/client/link.ts";
import type { RawConnection, RawHandle } from "../../src/client/rivet/raw.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A fake of RivetKit's handle. The test decides how its connections behave. */
function fakeHandle() {
  const connections: {
    status(status: ActorConnStatus): void;
    fail(error: Error): void;
    disposed: boolean;
  }[] = [];
  const fake = {
    /** Answers `resolve()` and HTTP actions. */
    answer: async (): Promise<string> => "actor",
    attempts: 0,
    connections,
    /** Answers HTTP actions, if it is set. */
    ask: undefined as ((signal?: AbortSignal) => Promise<unknown>) | undefined,
    /** Answers why the actor did not start. */
    reason: async (): Promise<unknown> => undefined,
    /** Answers actions on a connection. */
    action: async (): Promise<unknown> => null,
    handle: {
      resolve: () => {
        fake.attempts += 1;
        return fake.answer();
      },
      action: ({ signal }: { signal?: AbortSignal }) => fake.ask?.(signal) ?? fake.answer(),
      startFailure: () => fake.reason(),
      connect(): RawConnection {
        let onStatus: (status: ActorConnStatus) => void = () => undefined;
        let onError: (error: Error) => void = () => undefined;
        const connection = {
          status: (status: ActorConnStatus) => onStatus(status),
          fail: (error: Error) => onError(error),
          disposed: false,
        };
        connections.push(connection);
        return {
          action: () => fake.action(),
          on: () => () => undefined,
          onError(callback) {
            onError = callback;
            return () => undefined;
          },
          onStatusChange(callback) {
            onStatus = callback;
            return () => undefined;
          },
          async dispose() {
            connection.disposed = true;
          },
          actorId: "actor",
          connId: "connection",
        };
      },
    } as unknown as RawHandle,
  };
  return fake;
}

async function connected() {
  const fake = fakeHandle();
  const link = new Link(fake.handle);
  link.open();
  await vi.advanceTimersByTimeAsync(0);
  fake.connections[0]?.status("connected");
  await vi.advanceTimersByTimeAsync(0);
  expect(link.status).toBe("connected");
  return { fake, link };
}

test("replaces a silent connection", async () => {
  const { fake, link } = await connected();
  const down: string[] = [];
  link.down.add((error) => down.push(error.message));
  fake.action = () => new Promise(() => undefined);
  await vi.advanceTimersByTimeAsync(SILENCE_TIMEOUT_MS + HEARTBEAT_INTERVAL_MS);
  expect(down).toEqual([`The server was silent for ${SILENCE_TIMEOUT_MS} ms`]);
  expect(fake.connections[0]?.disposed).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  expect(fake.connections).toHaveLength(2);
  await link.close();
});

test("keeps an idle connection that answers", async () => {
  const { fake, link } = await connected();
  await vi.advanceTimersByTimeAsync(10 * SILENCE_TIMEOUT_MS);
  expect(link.status).toBe("connected");
  expect(fake.connections).toHaveLength(1);
  await link.close();
});

test("retries for ever, with pauses that grow to two seconds", async () => {
  const { fake, link } = await connected();
  fake.attempts = 0;
  fake.answer = async () => {
    throw new Error("HTTP request error: Request failed: TypeError: fetch failed");
  };
  fake.connections[0]?.status("disconnected");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(fake.attempts).toBeGreaterThanOrEqual(3);
  fake.attempts = 0;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(fake.attempts).toBeGreaterThanOrEqual(60_000 / MAX_RECONNECT_DELAY_MS);
  expect(fake.attempts).toBeLessThanOrEqual((2 * 60_000) / MAX_RECONNECT_DELAY_MS);
  // The link opens no socket while a plain request fails.
  expect(fake.connections).toHaveLength(1);
  await link.close();
  fake.attempts = 0;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(fake.attempts).toBe(0);
});

test("gives up a connection that does not open, and tries again", async () => {
  const { fake, link } = await connected();
  const down: string[] = [];
  link.down.add((error) => down.push(error.message));
  fake.connections[0]?.status("disconnected");
  await vi.advanceTimersByTimeAsync(CONNECT_TIMEOUT_MS + 200);
  expect(down[1]).toBe(`The connection did not open within ${CONNECT_TIMEOUT_MS} ms`);
  expect(fake.connections[1]?.disposed).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  fake.connections.at(-1)?.status("connected");
  await vi.advanceTimersByTimeAsync(2 * CONNECT_TIMEOUT_MS);
  expect([link.status, down.length]).toEqual(["connected", 2]);
  await link.close();
});

test("keeps a connection that opens late, while the link asks for the reason", async () => {
  const fake = fakeHandle();
  fake.reason = () => new Promise(() => undefined);
  const link = new Link(fake.handle);
  link.open();
  await vi.advanceTimersByTimeAsync(CONNECT_TIMEOUT_MS);
  fake.connections[0]?.status("connected");
  await vi.advanceTimersByTimeAsync(CONNECT_TIMEOUT_MS);
  expect([link.status, fake.connections[0]?.disposed]).toEqual(["connected", false]);
  await link.close();
});

test("asks again if a question gets no answer after a lost connection", async () => {
  const { fake, link } = await connected();
  const signals: (AbortSignal | undefined)[] = [];
  fake.ask = (signal) => {
    signals.push(signal);
    return signals.length === 1 ? new Promise(() => undefined) : Promise.resolve();
  };
  fake.connections[0]?.status("disconnected");
  await vi.advanceTimersByTimeAsync(200);
  expect(signals).toHaveLength(1);
  expect(fake.connections).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(ASK_AGAIN_MS);
  expect(fake.connections).toHaveLength(2);
  fake.connections[1]?.status("connected");
  await vi.advanceTimersByTimeAsync(CONNECT_TIMEOUT_MS);
  expect(signals.map((signal) => signal?.aborted)).toEqual([true, true]);
  await link.close();
});

test("replaces a connection that has outlived its instance at once, and asks nothing before", async () => {
  const { fake, link } = await connected();
  fake.ask = async () => {
    throw new Error("no question");
  };
  link.renew(new AgentVmError("connection_lost", "Another instance of the VM answers"));
  expect([link.status, fake.connections[0]?.disposed]).toEqual(["disconnected", true]);
  await vi.advanceTimersByTimeAsync(0);
  expect(fake.connections).toHaveLength(2);
  fake.connections[1]?.status("connected");
  await vi.advanceTimersByTimeAsync(0);
  expect(link.status).toBe("connected");
});

test("does not retry after a refusal", async () => {
  const { fake, link } = await connected();
  const down: string[] = [];
  link.down.add((error) => down.push(error.code));
  fake.attempts = 0;
  fake.connections[0]?.status("disconnected");
  fake.connections[0]?.fail(new AgentVmError("unauthorized", "no"));
  await vi.advanceTimersByTimeAsync(60_000);
  expect(down).toEqual(["unauthorized"]);
  expect(link.status).toBe("idle");
  expect(fake.attempts).toBe(0);
  link.open();
  expect(link.status).toBe("connecting");
  await link.close();
});
