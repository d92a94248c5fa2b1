import type { ActorConnStatus } from "rivetkit/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AgentVmError } from "../../src/api/errors.ts";
import { HEARTBEAT_INTERVAL_MS, MAX_RECONNECT_DELAY_MS, SILENCE_TIMEOUT_MS } from "../../src/api/limits.ts";
import { Link } from "../../src/client/link.ts";
import type { RawConnection, RawHandle } from "../../src/client/raw.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A stand-in for RivetKit's handle, whose connections do what the test says. */
function fakeHandle() {
  const connections: {
    status(status: ActorConnStatus): void;
    fail(error: Error): void;
    disposed: boolean;
  }[] = [];
  const fake = {
    /** What resolve() and HTTP actions answer. */
    answer: async (): Promise<string> => "actor",
    attempts: 0,
    connections,
    /** What actions on a connection answer. */
    action: async (): Promise<unknown> => null,
    handle: {
      resolve: () => {
        fake.attempts += 1;
        return fake.answer();
      },
      action: () => fake.answer(),
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

test("a connection that died without a word is made anew", async () => {
  const { fake, link } = await connected();
  const down: string[] = [];
  link.down.add((error) => down.push(error.message));
  fake.action = () => new Promise(() => undefined);
  await vi.advanceTimersByTimeAsync(SILENCE_TIMEOUT_MS + 2 * HEARTBEAT_INTERVAL_MS);
  expect(down).toEqual(["The connection went silent"]);
  expect(fake.connections[0]?.disposed).toBe(true);
  await vi.advanceTimersByTimeAsync(200);
  expect(fake.connections).toHaveLength(2);
  await link.close();
});

test("a connection that answers stays, however idle", async () => {
  const { fake, link } = await connected();
  await vi.advanceTimersByTimeAsync(10 * SILENCE_TIMEOUT_MS);
  expect(link.status).toBe("connected");
  expect(fake.connections).toHaveLength(1);
  await link.close();
});

test("attempts come ever slower, at most two seconds apart, and go on", async () => {
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
  // No socket is opened as long as a plain request fails.
  expect(fake.connections).toHaveLength(1);
  await link.close();
  fake.attempts = 0;
  await vi.advanceTimersByTimeAsync(60_000);
  expect(fake.attempts).toBe(0);
});

test("a server that says no is not asked again by itself", async () => {
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
