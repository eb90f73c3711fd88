import { Markup, markup } from './markup.ts'
import { style } from './style.ts'

/** Nothing may be fetched, whatever a hostile name manages to become. */
const policy =
  "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"

/** A self-contained page: it loads nothing. */
export function page(title: string, body: Markup, scripts: Markup): string {
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<title>${title}</title>
<style>${new Markup(style)}</style>
</head>
<body>
<main>
${body}
</main>
${scripts}
</body>
</html>
`.text
}
