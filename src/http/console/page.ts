/** Headers of every answer of the console. */
export const HEADERS: Readonly<Record<string, string>> = {
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    // The terminal and the editor write style elements. No content of a VM becomes a style.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "frame-src blob:",
    "manifest-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  // A page of a preview shares the server's origin. It gets no handle of a window of the console.
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
};

/** Facts that the page of the console knows when it starts. */
interface Start {
  /** Token of the login; `undefined` before it. */
  token: string | undefined;
  /** Names of the actors that are VMs. */
  vms: readonly string[];
  /** Whether the browser will keep a login over a reload. */
  keeps: boolean;
  /** Changes with the content of the scripts. */
  version: string;
}

/** Returns the one document of the console. It has no script of its own. */
export function page({ token = "", vms, keeps, version }: Start): string {
  const icon =
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Crect width='16' height='16' rx='4' fill='%234467e8'/%3E%3Cpath d='M4 5l3 3-3 3M8.5 11H12' stroke='white' stroke-width='1.6' fill='none'/%3E%3C/svg%3E";
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="agent-vm-token" content="${escaped(token)}">
<meta name="agent-vm-names" content="${escaped(JSON.stringify(vms))}">
<meta name="agent-vm-keeps" content="${keeps}">
<title>agent-vm console</title>
<link rel="icon" href="${icon}">
<link rel="stylesheet" href="/console/assets/main.css?v=${version}">
<script type="module" src="/console/assets/main.js?v=${version}"></script>
</head>
<body><div id="app"></div><noscript>The console needs JavaScript.</noscript></body>
</html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
