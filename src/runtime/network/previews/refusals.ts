import type { OutgoingHttpHeaders, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { AgentVmError } from "../../../api/errors.ts";

/** Milliseconds between two looks of an open page at the port, and how often it looks. */
const RETRY = { everyMs: 1_000, times: 300 };

/** Allows pages of any origin to send any request, without credentials. */
export const CORS = {
  "access-control-allow-origin": "*",
  "access-control-allow-methods": "*",
  "access-control-allow-headers": "*",
  "access-control-max-age": "86400",
};

const JSON_HEADERS = { "content-type": "application/json", "access-control-allow-origin": "*" };

/** Returns the headers of a page of the server's own. */
export function pageHeaders(policy: string): Record<string, string> {
  return {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "content-security-policy": policy,
  };
}

const PAGE_HEADERS = pageHeaders(
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'",
);

export const STYLE = `body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:36em;padding:0 1em;color-scheme:light dark}
code{font-size:14px;overflow-wrap:anywhere}`;

/** Looks with HEAD, which changes nothing in the app, and loads the page again once the port answers. */
const SCRIPT = `let left = ${RETRY.times};
const look = async () => {
  if (!document.hidden) {
    left -= 1;
    const { status } = await fetch(location.href, { method: "HEAD", cache: "no-store", redirect: "manual" }).catch(() => ({ status: 502 }));
    if (status !== 502) return location.reload();
  }
  if (left > 0) setTimeout(look, ${RETRY.everyMs});
  else document.getElementById("state").textContent = "Reload the page to try again.";
};
setTimeout(look, ${RETRY.everyMs});`;

/**
 * Sends an error as JSON, readable by pages of any origin like all responses of a preview, or as a page to a browser. Allows
 * a request of OPTIONS, so that a page can read the error of the request that follows.
 */
export function refuse(response: ServerResponse, error: AgentVmError): void {
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (response.req.method === "OPTIONS") {
    response.writeHead(204, CORS).end();
    return;
  }
  const isPage = opensPage(response.req);
  const headers: OutgoingHttpHeaders = { ...(isPage ? PAGE_HEADERS : JSON_HEADERS), connection: "close" };
  if (error.code === "preview_failed") headers["retry-after"] = "1";
  response.writeHead(error.status, headers);
  response.end(isPage ? pageOf(error) : jsonOf(error));
}

export function refuseUpgrade(socket: Duplex, error: AgentVmError): void {
  sendAnswer(socket, jsonAnswer(error));
}

/** A whole answer of the server in the app's place. */
export interface PreviewAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Returns an error as JSON, readable by pages of any origin. */
export function jsonAnswer(error: AgentVmError, headers: Record<string, string> = {}): PreviewAnswer {
  return { status: error.status, headers: { ...JSON_HEADERS, ...headers }, body: jsonOf(error) };
}

/** Sends an answer over a browser's connection. Closes the connection, unless the page's request follows a preflight. */
export function sendAnswer(browser: ServerResponse | Duplex, { status, headers, body }: PreviewAnswer): void {
  if (browser.destroyed) return;
  if ("writeHead" in browser) {
    browser.writeHead(status, { ...headers, ...(status === 204 ? {} : { connection: "close" }) }).end(body);
    return;
  }
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const length = `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n`;
  browser.end(`HTTP/1.1 ${status} Refused\r\n${lines.join("")}${length}\r\n${body}`, () => browser.destroy());
}

/** Like `sendAnswer`, as a `Response` object. */
export function answerResponse({ status, headers, body }: PreviewAnswer): Response {
  return new Response(status === 204 ? null : body, { status, headers });
}

/** Like `refuse`, for an answer that is a `Response` object. */
export function refusalResponse(error: AgentVmError): Response {
  return answerResponse(jsonAnswer(error));
}

/** Returns whether a browser opens a page with a request. A program gets JSON. */
export function opensPage({
  method,
  headers,
}: {
  method?: string | undefined;
  headers: { accept?: string | undefined };
}): boolean {
  return method === "GET" && headers.accept?.includes("text/html") === true;
}

function jsonOf({ code, message, metadata }: AgentVmError): string {
  return JSON.stringify({ code, message, metadata });
}

function pageOf({ code, message }: AgentVmError): string {
  const isWaiting = code === "preview_failed";
  const [title, state] = isWaiting
    ? ["Waiting for the app", "This page opens the app as soon as it answers."]
    : ["This preview cannot be opened", "Ask its owner for a new URL."];
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>${STYLE}</style>
<h1>${title}</h1><p id="state">${state}</p><p><code>${escaped(message)}</code></p>
${isWaiting ? `<script>${SCRIPT}</script>` : ""}</html>`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
