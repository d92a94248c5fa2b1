import { SpanStatusCode, trace } from "@opentelemetry/api";
import { errorOf } from "../rivet/user-error.ts";

/** Spans go to the provider that the host application has registered. Without a provider they cost nothing. */
const tracer = trace.getTracer("agent-vm");

/** Subject of a span. Never an argument, a path or content. */
interface SpanFacts {
  "agent_vm.actor": string;
  "agent_vm.vm": string[];
}

/** Runs a call of a method as a span. */
export async function asSpan<Result>(
  name: string,
  facts: SpanFacts,
  call: () => Promise<Result>,
): Promise<Result> {
  return await tracer.startActiveSpan(`agent-vm ${name}`, { attributes: { ...facts } }, async (span) => {
    try {
      return await call();
    } catch (error) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: errorOf(error).code });
      throw error;
    } finally {
      span.end();
    }
  });
}

/** Adds a span of something that has just ended. */
export function addSpan(name: string, facts: SpanFacts, ms: number): void {
  tracer.startSpan(`agent-vm ${name}`, { attributes: { ...facts }, startTime: Date.now() - ms }).end();
}
