// @module-tag slow
import { expect, test } from "vitest";
import { startEngine, startPeer } from "../support/engine.ts";
import { startLossy } from "../support/lossy.ts";
import { marked } from "../support/marked.ts";
import { tcpProxy } from "../support/tcp-proxy.ts";
import { failure, underWay } from "../support/until.ts";

const TOKEN = "token of the servers";

test("a client of a server that loses the engine hears so, and goes on at another server behind its address", async (context) => {
  const engine = await startEngine(context);
  const relay = await startLossy(Number(new URL(engine.endpoint).port));
  const lost = await startPeer(relay);
  const front = await tcpProxy(lost.port);
  context.onTestFinished(() => front.close());
  const vm = lost.client({ token: TOKEN, endpoint: front.endpoint }).vm.getOrCreate("one").connect();
  await expect.poll(() => vm.exists("/").catch(String)).toBe(true);
  await vm.writeFile("/workspace/note", "kept");
  const mark = `mark-${process.pid}-${Date.now()}`;
  await vm.spawn("sh", ["-c", "while :; do sleep 1; done", "sh", mark]);
  const errors: unknown[] = [];
  vm.onError((error) => errors.push(error));
  const other = await startPeer(engine);

  const closed = new Promise<void>((resolve) => void vm.onClose(resolve));
  relay.lose(true);
  const writing = underWay(failure(vm.writeFile("/workspace/note", "lost")));
  front.target = other.port;
  await closed;
  // The VM itself ends on that server after the lost threshold once more, and later, because its storage does not answer.
  expect(marked(mark)).not.toEqual([]);
  expect(await writing).toMatchObject({ code: "call_lost" });
  expect(new TextDecoder().decode(await vm.readFile("/workspace/note"))).toBe("kept");
  expect(errors[0]).toMatchObject({ code: "connection_lost" });
  const direct = lost.client({ token: TOKEN }).vm.get("one").exists("/");
  expect(await failure(direct)).toMatchObject({ code: "connection_lost" });
  // The server can leave the engine in order.
  relay.lose(false);
});
