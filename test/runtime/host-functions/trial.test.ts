import { expect, test } from "vitest";
import { z } from "zod";
import { hostFunction } from "../../../src/runtime/host-functions/types.ts";
import { startVm } from "../../support/vm.ts";
test("x", async () => {
  const forecast = hostFunction({
    inputSchema: z.object({ city: z.string().describe("City"), days: z.int().default(3).describe("Days") }).describe("Forecast"),
    execute: async ({ city, days }, { progress, stdin }) => { await progress("looking"); let n=0; for await (const p of stdin) n+=p.length; return `${city} ${days} ${n}`; },
    examples: [{ description: "Berlin", input: { city: "Berlin" } }],
  });
  const { vm } = startVm({ hostFunctions: { weather: { forecast } }});
  for (const c of ["agentos-weather forecast --city Berlin </dev/null", "echo hallo | agentos-weather forecast --city=Berlin --days 7", "agentos-weather forecast", "agentos-weather forecast --help", "agentos-weather", "agentos", "agentos list-bindings", "echo '{\"city\":\"X\"}' > f; agentos-weather forecast --json-file f </dev/null", "agentos-weather forecast --json-file nope",
   `printf '%s\n' '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18"}}' '{"jsonrpc":"2.0","id":2,"method":"tools/list"}' '{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"weather_forecast","arguments":{"city":"B"}}}' | (cat; sleep 0.1) | agentos mcp`,
   "time (for i in 1 2 3 4 5 6 7 8 9 10; do agentos-weather forecast --city Berlin </dev/null >/dev/null 2>&1; done)"]) {
    const t = performance.now();
    const r = await vm.exec(c);
    console.log(`$ ${c}\n${r.stdout}|${r.stderr}| ${r.exitCode} ${(performance.now()-t).toFixed(1)} ms`);
  }
});
