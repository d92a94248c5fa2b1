import { type Span, type TracerProvider, trace } from "@opentelemetry/api";
import { expect, onTestFinished, test } from "vitest";
import { startTestServer } from "../support/servers.ts";
import { failure } from "../support/until.ts";

/** Records the names, attributes and states of ended spans. */
function provider(ended: object[]): TracerProvider {
  const span = (name: string, options: object = {}) => {
    const record = { name, ...options, status: undefined as unknown };
    return {
      setStatus(status: unknown) {
        record.status = status;
      },
      end: () => void ended.push(record),
    } as unknown as Span;
  };
  return {
    getTracer: () => ({
      startSpan: span,
      startActiveSpan: (name: string, options: object, work: (made: Span) => unknown) =>
        work(span(name, options)),
    }),
  } as unknown as TracerProvider;
}

test("each call is a span with its VM and the code of its error, without its arguments", async () => {
  const ended: object[] = [];
  trace.setGlobalTracerProvider(provider(ended));
  onTestFinished(() => trace.disable());
  const server = await startTestServer({ kind: "fake" });
  const vm = server.client().vm.getOrCreate(["team", "one"]);
  await vm.exec("echo s3cr3t");
  await failure(vm.exec("enoent"));
  const attributes = { "agent_vm.actor": "vm", "agent_vm.vm": ["team", "one"] };
  expect(ended).toMatchObject([
    { name: "agent-vm exec", attributes, status: undefined },
    { name: "agent-vm exec", attributes, status: { message: "ENOENT" } },
  ]);
  expect(JSON.stringify(ended)).not.toContain("s3cr3t");
});
