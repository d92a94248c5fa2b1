// @module-tag slow
import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, onTestFinished, test } from "vitest";
import { startEngine } from "../support/engine.ts";

const PROGRAM = join(import.meta.dirname, "../support/late-writer.ts");

/** Starts a server with one actor that stores values without end. */
function startWriter(endpoint: string, name: string) {
  const child = spawn(process.execPath, [PROGRAM, endpoint, name], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  const lines: string[] = [];
  createInterface(child.stdout).on("line", (line) => lines.push(line));
  const says = (text: string) => expect.poll(() => lines).toContainEqual(expect.stringContaining(text));
  return { child, lines, says };
}

// The durable store of VMs relies on it: between a look at the owner mark and the put of a head, a machine may stand still.
test("the engine refuses what a server stores for an actor that has moved away while its machine stood still", async (context) => {
  const { endpoint } = await startEngine(context);
  const first = startWriter(endpoint, "first");
  await first.says("connected");
  const created = await fetch(`${endpoint}/actors?namespace=default`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: "writer", runner_name_selector: "writers", crash_policy: "restart" }),
  });
  expect(created.status, await created.text()).toBe(200);
  await first.says("stored first");
  first.child.kill("SIGSTOP");
  const second = startWriter(endpoint, "second");
  await second.says("stored second");
  const before = first.lines.length;
  first.child.kill("SIGCONT");
  await first.says("refused: actor does not belong to runner");
  const after = first.lines.slice(before);
  // An answer of the engine may have waited in the socket.
  expect(after.filter((line) => line.startsWith("stored")).length).toBeLessThanOrEqual(1);
  const read = second.lines.filter((line) => line.startsWith("read"));
  expect(read).not.toEqual([]);
  expect(read.filter((line) => line.includes("first"))).toEqual([]);
});
