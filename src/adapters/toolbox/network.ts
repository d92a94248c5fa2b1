import { z } from "zod";
import { defineTool } from "./tool.ts";

const MAX_EXPIRY_SECONDS = 86_400;

/** Tools for ports. */
export const NETWORK_TOOLS = {
  preview_url: defineTool({
    title: "Make a preview URL",
    description:
      "Waits until a port of the VM listens, and makes a URL that opens it in a browser, for anyone who has the URL.",
    input: z.strictObject({
      port: z.int().min(1).max(65_535).describe("Port inside the VM"),
      expires_in_seconds: z
        .int()
        .min(1)
        .max(MAX_EXPIRY_SECONDS)
        .optional()
        .describe("Life of the URL. Default: 3600"),
      wait_ms: z.int().min(0).max(60_000).optional().describe("Longest wait for the port. Default: 10000"),
    }),
    effect: "execute",
    needs: [{ right: "network" }],
    async run({ port, expires_in_seconds, wait_ms = 10_000 }, { vm, signal }) {
      if (wait_ms > 0) await vm.waitForPort(port, { timeoutMs: wait_ms }, { signal });
      const { url, pathUrl, expiresAt } = await vm.createSignedPreviewUrl(port, expires_in_seconds);
      return { url, pathUrl, expiresAt, text: `${url}\n[until ${new Date(expiresAt).toISOString()}]` };
    },
  }),
  list_ports: defineTool({
    title: "List ports",
    description: "Lists the TCP ports that listen inside the VM.",
    input: z.strictObject({}),
    effect: "read",
    needs: [{ right: "network", reads: true }],
    async run(_input, { vm }) {
      const ports = await vm.listPorts();
      return { ports, text: ports.map((each) => JSON.stringify(each)).join("\n") || "(no ports)" };
    },
  }),
};
