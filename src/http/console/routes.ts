import type { IncomingMessage, ServerResponse } from "node:http";
import { presentedTokens } from "../access.ts";
import type { AccessControl } from "../access-control.ts";
import { OwnAnswer, type Route } from "../http-gate.ts";
import { noTokens } from "../tokens/routes.ts";
import { type Asset, consoleAssets } from "./assets.ts";
import { ConsoleLogins, isKept } from "./login.ts";
import { HEADERS, page } from "./page.ts";

const ASSET = /^GET \/console\/assets\/([\w.-]{1,100})$/;

export interface ConsoleRoutes {
  /** Routes for requests that the server has admitted. */
  guarded: Record<string, Route>;
  /** Finds a route that needs no token, by method and path. */
  open(name: string): Route | undefined;
}

/**
 * Makes the answers of `/console`: a document, its scripts and styles, and logins. All data comes through the same methods
 * as for every other client.
 *
 * @param vms the actor names of VMs
 */
export function consoleRoutes(access: AccessControl, vms: readonly string[]): ConsoleRoutes {
  const logins = new ConsoleLogins(access);
  const document: Route = async (request) => {
    const token = await logins.tokenFor(request);
    const assets = await consoleAssets();
    const tags = ["main.js", "main.css"].map((name) => assets.get(name)?.tag ?? "");
    const version = tags.join("").replace(/[^\w-]/g, "");
    const html = page({ token, vms, keeps: logins.isTab(request), version });
    return new OwnAnswer(async (response) => {
      if (isKept(token)) response.setHeader("set-cookie", logins.cookie(request, token));
      send(response, 200, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" }, html);
    });
  };
  const login: Route = async (request, grant) => {
    const header = (name: string) => request.headers[name]?.toString();
    const [presented] = presentedTokens({ header, path: request.url ?? "", external: true });
    const token = await logins.tokenOf(grant, presented);
    if (token === undefined) throw noTokens();
    return new OwnAnswer(async (response) => {
      if (isKept(token)) response.setHeader("set-cookie", logins.cookie(request, token));
      const headers = { "content-type": "application/json", "cache-control": "no-store" };
      send(response, 200, headers, JSON.stringify({ token }));
    });
  };
  const logout: Route = async (request) => {
    await logins.end(request.headers.authorization);
    return new OwnAnswer(async (response) => {
      // Another site must not end a login.
      if (request.headers["sec-fetch-site"] === "same-origin")
        response.setHeader("set-cookie", logins.cookie(request, undefined));
      send(response, 204, {}, undefined);
    });
  };
  const open: Readonly<Record<string, Route>> = {
    "GET /console": document,
    "GET /console/": document,
    "POST /console/logout": logout,
  };
  return {
    guarded: { "POST /console/login": login },
    open: (name) => {
      if (Object.hasOwn(open, name)) return open[name];
      const asset = ASSET.exec(name)?.[1];
      return asset === undefined ? undefined : (request) => assetRoute(request, asset);
    },
  };
}

async function assetRoute(request: IncomingMessage, name: string): Promise<OwnAnswer> {
  const asset = (await consoleAssets()).get(name);
  if (asset === undefined)
    return new OwnAnswer(async (response) => send(response, 404, { "cache-control": "no-store" }, undefined));
  return new OwnAnswer(async (response) => sendAsset(request, response, asset, name));
}

function sendAsset(request: IncomingMessage, response: ServerResponse, asset: Asset, name: string): void {
  // A name with a hash never has another content. The address of the others has a version.
  const isNamed = name.includes("-") || (request.url ?? "").includes("?v=");
  const headers = {
    "content-type": asset.contentType,
    "cache-control": isNamed ? "public, max-age=31536000, immutable" : "no-cache",
    etag: asset.tag,
    vary: "Accept-Encoding",
  };
  const zips = /\bgzip\b/.test(request.headers["accept-encoding"] ?? "");
  if (request.headers["if-none-match"] === asset.tag) send(response, 304, headers, undefined);
  else if (zips) send(response, 200, { ...headers, "content-encoding": "gzip" }, asset.gzipped);
  else send(response, 200, headers, asset.plain);
}

function send(
  response: ServerResponse,
  status: number,
  headers: Record<string, string>,
  body: string | Uint8Array | undefined,
): void {
  // The answers are for pages of the console alone.
  for (const name of ["access-control-allow-origin", "access-control-allow-credentials"])
    response.removeHeader(name);
  const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
  response.writeHead(status, { ...HEADERS, ...headers, ...length });
  response.end(body);
}
