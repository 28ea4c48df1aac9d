// What pages do beyond HTML: times in the reader's zone, copy, keys, fragments that renew themselves, the playground.
// Markup is never written from text: fragments are parsed as documents by XMLHttpRequest, so no Trusted Types policy exists.

const root = document.documentElement
const all = (selector, within = document) => [...within.querySelectorAll(selector)]
const byId = (id) => document.getElementById(id)
root.classList.add('js')

// Times

const clock = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' }
const FORMATS = {
  clock,
  precise: { ...clock, fractionalSecondDigits: 3 },
  stamp: { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' },
  day: { day: 'numeric', month: 'short' },
}

function localize(within) {
  for (const time of all('time[data-as]', within)) {
    const at = new Date(time.dateTime)
    const kind = time.dataset.as
    const isToday = at.toDateString() === new Date().toDateString()
    const format = kind === 'clock' && !isToday ? FORMATS.stamp : FORMATS[kind]
    time.textContent = new Intl.DateTimeFormat('en-GB', format).format(at)
    time.title = `${time.dateTime.replace('T', ' ').replace('Z', '')} UTC`
  }
}

// Copy, and dialogs

function note(text) {
  const toast = document.createElement('div')
  toast.className = 'copied'
  toast.setAttribute('role', 'status')
  toast.textContent = text
  document.body.append(toast)
  setTimeout(() => toast.remove(), 1600)
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text)
    note('Copied')
  } catch {
    note('The browser did not allow copying')
  }
}

document.addEventListener('click', (event) => {
  const button = event.target.closest('button')
  if (button?.dataset.copy) copy(button.dataset.copy)
  if (button?.dataset.open) byId(button.dataset.open).showModal()
  for (const menu of all('details.confirm[open]')) if (!menu.contains(event.target)) menu.open = false
})

// Filters apply when they are chosen.
for (const form of all('form[data-auto]')) {
  form.addEventListener('change', (event) => event.target.matches('select') && form.requestSubmit())
}

// Keys

let isGoing = false

function step(by) {
  const rows = all('tbody tr').filter((row) => row.querySelector('a'))
  const at = rows.findIndex((row) => row.contains(document.activeElement))
  const next = rows[Math.min(Math.max(at + by, 0), rows.length - 1)]
  next?.querySelector('a').focus()
}

function press(key) {
  if (isGoing) {
    isGoing = false
    return all('.nav a').find((link) => link.dataset.key === key)?.click()
  }
  const actions = {
    '/': () => document.querySelector('input[type=search]')?.focus(),
    '?': () => byId('keys')?.showModal(),
    g: () => { isGoing = true; setTimeout(() => { isGoing = false }, 1200) },
    j: () => step(1),
    k: () => step(-1),
    t: () => byId('theme')?.querySelector('button').click(),
    Escape: () => {
      for (const menu of all('details.confirm[open]')) { menu.open = false; menu.querySelector('summary').focus() }
    },
  }
  return Object.hasOwn(actions, key) ? actions[key]() ?? true : false
}

document.addEventListener('keydown', (event) => {
  const isTyping = event.target.closest('input, textarea, select, [contenteditable], dialog[open]')
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return
  if (press(event.key) !== false && event.key !== 'Escape') event.preventDefault()
})

// Fragments that renew themselves while somebody looks

function load(url) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('GET', url)
    request.setRequestHeader('accept', 'text/html')
    request.responseType = 'document'
    request.timeout = 15000
    request.onload = () => request.status === 200 ? resolve(request.response) : reject(new Error(request.status))
    request.onerror = request.ontimeout = () => reject(new Error('unreachable'))
    request.send()
  })
}

function isLooking() {
  return document.visibilityState === 'visible'
}

const main = byId('main')

async function renew() {
  const isBusy = main.contains(document.activeElement) && document.activeElement !== document.body
  if (isLooking() && !isBusy && all('details[open]', main).length === 0) {
    try {
      const fresh = (await load(location.href)).getElementById('main')
      if (fresh) {
        main.replaceChildren(...fresh.childNodes)
        localize(main)
      }
    } catch {
      // The next turn tries again; the page says how old it is.
    }
  }
  setTimeout(renew, main.dataset.poll * 1000)
}
if (main?.dataset.poll) setTimeout(renew, main.dataset.poll * 1000)

// Live tail: asks for rows since the last one, less often when nothing comes.

const live = byId('live')
let liveTimer
let pause = 2000

async function tail() {
  const rows = byId('rows')
  if (isLooking()) {
    try {
      const fresh = (await load(rows.dataset.live)).getElementById('rows')
      const added = all('tr', fresh).filter((row) => !byId(row.id))
      localize(fresh)
      added.forEach((row) => row.classList.add('fresh'))
      rows.prepend(...added)
      all('tr', rows).slice(300).forEach((row) => row.remove())
      rows.dataset.live = fresh.dataset.live
      if (added.length) byId('none')?.remove()
      pause = added.length ? 2000 : Math.min(pause * 1.3, 10000)
      byId('age').textContent = `Updated ${new Intl.DateTimeFormat('en-GB', clock).format(new Date())}.`
    } catch (error) {
      pause = 10000
      byId('age').textContent = `Not updated: the gateway said ${error.message}. It is asked again in 10 s.`
    }
  }
  liveTimer = setTimeout(tail, pause)
}

live?.addEventListener('click', () => {
  const isOn = live.getAttribute('aria-pressed') !== 'true'
  live.setAttribute('aria-pressed', isOn)
  clearTimeout(liveTimer)
  if (isOn) tail()
})

// Playground

const form = byId('playground')
const value = (name) => form.elements[name].value.trim()
const numeric = (name) => value(name) === '' ? undefined : Number(value(name))
let format = 'chat'
let running

function tools() {
  return value('tools') ? JSON.parse(value('tools')) : undefined
}

// The path and body of a request in each format.
const REQUESTS = {
  chat: (stream) => ['/v1/chat/completions', {
    model: value('model'), stream, temperature: numeric('temperature'), max_tokens: numeric('max_tokens'), tools: tools(),
    messages: [...(value('system') ? [{ role: 'system', content: value('system') }] : []), { role: 'user', content: value('user') }],
  }],
  responses: (stream) => ['/v1/responses', {
    model: value('model'), stream, store: false, temperature: numeric('temperature'), max_output_tokens: numeric('max_tokens'),
    instructions: value('system') || undefined, input: value('user'), tools: tools(),
  }],
  messages: (stream) => ['/v1/messages', {
    model: value('model'), stream, temperature: numeric('temperature'), max_tokens: numeric('max_tokens') ?? 1000,
    system: value('system') || undefined, messages: [{ role: 'user', content: value('user') }], tools: tools(),
  }],
  gemini: (stream) => [
    `/v1beta/models/${value('model')}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`, {
      contents: [{ role: 'user', parts: [{ text: value('user') }] }], tools: tools(),
      systemInstruction: value('system') ? { parts: [{ text: value('system') }] } : undefined,
      generationConfig: { temperature: numeric('temperature'), maxOutputTokens: numeric('max_tokens') },
    }],
}

const request = () => REQUESTS[format](form.elements.stream.checked)
const texts = (parts, pick) => (parts ?? []).map(pick).filter(Boolean).join('')

// What an event or a whole response adds to the answer, and to the reasoning.
function added(data) {
  const choice = data.choices?.[0]
  const message = choice?.delta ?? choice?.message ?? {}
  const parts = data.candidates?.[0]?.content?.parts
  const output = data.object === 'response' ? data.output : undefined
  return {
    answer: [
      message.content,
      data.type === 'response.output_text.delta' && data.delta,
      texts(output, (item) => texts(item.content, (part) => part.text)),
      data.type === 'content_block_delta' && data.delta.text,
      data.type === 'message' && texts(data.content, (part) => part.text),
      texts(parts, (part) => !part.thought && part.text),
      texts(message.tool_calls, (call) => `${call.function?.name ?? ''}${call.function?.arguments ?? ''}`),
      data.delta?.partial_json,
      texts(parts, (part) => part.functionCall && JSON.stringify(part.functionCall)),
      data.error && `Error: ${data.error.message}`,
    ],
    reasoning: [
      message.reasoning_content ?? message.reasoning,
      data.type === 'response.reasoning_summary_text.delta' && data.delta,
      data.delta?.thinking,
      texts(parts, (part) => part.thought && part.text),
    ],
  }
}

function show(data) {
  const { answer, reasoning } = added(data)
  byId('answer').append(...answer.filter(Boolean))
  const thinking = reasoning.filter(Boolean)
  if (thinking.length) byId('reasoning-part').hidden = false
  byId('reasoning').append(...thinking)
}

function setState(tone, text) {
  byId('state').className = `pill ${tone}`
  byId('state').textContent = text
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties)
  made.append(...children)
  return made
}

function showAttempt(attempt) {
  const words = element('div', {}, element('b', { textContent: attempt.target }), element('small', { textContent: attempt.text }))
  const item = element('li', { id: `attempt-${attempt.number}` }, words, element('span', { className: `pill ${attempt.tone}`, textContent: attempt.state }))
  const old = byId(item.id)
  if (old) old.replaceWith(item)
  else byId('attempts').append(item)
}

// Splits text into server-sent events, whatever way it is cut.
function events(handle) {
  let rest = ''
  return (text) => {
    rest = (rest + text).replaceAll('\r\n', '\n')
    const blocks = rest.split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const lines = block.split('\n')
      const field = (name) => lines.filter((line) => line.startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trimStart())
      handle(field('event')[0] ?? 'message', field('data').join('\n'))
    }
  }
}

// The gateway wraps a playground's call in events of its own: attempts, the head, the body as it comes, the end.
function reader() {
  let isStream = false
  let whole = ''
  const native = events((_, data) => data && data !== '[DONE]' && show(JSON.parse(data)))
  const handlers = {
    attempt: showAttempt,
    head: ({ status, headers, is_stream }) => {
      isStream = is_stream
      setState(status < 400 ? 'is-info' : 'is-err', status < 400 ? 'answering' : String(status))
      byId('raw').append(`${status}\n${Object.entries(headers).map(([name, text]) => `${name}: ${text}`).join('\n')}\n\n`)
    },
    body: (text) => {
      byId('raw').append(text)
      if (isStream) native(text)
      else whole += text
    },
    end: ({ id, text, is_failure }) => {
      if (whole) show(JSON.parse(whole))
      setState(is_failure ? 'is-err' : 'is-ok', is_failure ? 'failed' : 'answered')
      byId('sum').replaceChildren(`${text} · `, element('a', { href: `/admin/requests/${id}`, textContent: 'the whole story' }))
    },
  }
  return events((name, data) => handlers[name]?.(JSON.parse(data)))
}

async function send() {
  for (const id of ['attempts', 'answer', 'reasoning', 'sum', 'raw', 'raw-request']) byId(id).replaceChildren()
  byId('reasoning-part').hidden = true
  running = new AbortController()
  byId('stop').hidden = false
  try {
    const [path, body] = request()
    byId('raw-request').textContent = `POST ${path}\n${JSON.stringify(body, null, 2)}`
    setState('is-info', 'sent')
    const response = await fetch('/admin/playground', {
      method: 'POST', signal: running.signal, headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify({ tenant: value('tenant'), path, body }),
    })
    if (!response.ok) throw new Error((await response.json()).detail ?? `the gateway said ${response.status}`)
    const read = reader()
    const decoder = new TextDecoder()
    for (let body = response.body.getReader(), part = await body.read(); !part.done; part = await body.read()) {
      read(decoder.decode(part.value, { stream: true }))
    }
  } catch (error) {
    setState('is-err', error.name === 'AbortError' ? 'stopped' : 'failed')
    if (error.name !== 'AbortError') byId('answer').append(error.message)
  } finally {
    byId('stop').hidden = true
  }
}

// Copy as

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`
const python = (json) => json.replace(/\btrue\b/g, 'True').replace(/\bfalse\b/g, 'False').replace(/\bnull\b/g, 'None')
const pretty = (data) => JSON.stringify(data, null, 4)
const literal = (data) => pretty(data).split(/("(?:[^"\\]|\\.)*")/).map((part, at) => at % 2 ? part : python(part)).join('')
const CALLS = {
  chat: ['openai', 'OpenAI', 'chat.completions.create', '/v1'],
  responses: ['openai', 'OpenAI', 'responses.create', '/v1'],
  messages: ['anthropic', 'Anthropic', 'messages.create', ''],
}

function snippet(language) {
  const base = form.dataset.base.replace(/\/v1$/, '')
  const [path, body] = REQUESTS[format](language === 'curl' && form.elements.stream.checked)
  const plain = JSON.parse(JSON.stringify(body))
  if (language === 'curl') {
    return `curl -N ${quoted(base + path)} \\\n  -H 'Authorization: Bearer YOUR_KEY' -H 'Content-Type: application/json' \\\n  -d ${quoted(JSON.stringify(plain))}`
  }
  const isPython = language === 'python'
  if (format === 'gemini') {
    const config = { ...plain.generationConfig, systemInstruction: value('system') || undefined, tools: plain.tools }
    const args = { model: value('model'), contents: value('user'), config }
    return isPython
      ? `from google import genai\n\nclient = genai.Client(api_key="YOUR_KEY", http_options={"base_url": "${base}"})\nanswer = client.models.generate_content(**${literal(args)})\nprint(answer.text)`
      : `import { GoogleGenAI } from '@google/genai'\n\nconst client = new GoogleGenAI({ apiKey: 'YOUR_KEY', httpOptions: { baseUrl: '${base}' } })\nconst answer = await client.models.generateContent(${pretty(args)})\nconsole.log(answer.text)`
  }
  const [module, type, call, suffix] = CALLS[format]
  const importable = module === 'anthropic' ? '@anthropic-ai/sdk' : module
  return isPython
    ? `from ${module} import ${type}\n\nclient = ${type}(base_url="${base}${suffix}", api_key="YOUR_KEY")\nanswer = client.${call}(**${literal(plain)})\nprint(answer)`
    : `import ${type} from '${importable}'\n\nconst client = new ${type}({ baseURL: '${base}${suffix}', apiKey: 'YOUR_KEY' })\nconst answer = await client.${call}(${pretty(plain)})\nconsole.log(answer)`
}

function choose(tab) {
  format = tab.dataset.format
  for (const other of all('[data-format]')) {
    other.setAttribute('aria-selected', other === tab)
    other.tabIndex = other === tab ? 0 : -1
  }
  byId('request').setAttribute('aria-labelledby', tab.id)
}

if (form) {
  const tabs = all('[data-format]')
  form.addEventListener('submit', (event) => { event.preventDefault(); send() })
  form.addEventListener('keydown', (event) => {
    const at = tabs.indexOf(event.target)
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key]
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) form.requestSubmit()
    if (by && 0 <= at) {
      const tab = tabs[(at + by + tabs.length) % tabs.length]
      choose(tab)
      tab.focus()
    }
  })
  tabs.forEach((tab) => tab.addEventListener('click', () => choose(tab)))
  all('[data-snippet]').forEach((button) => button.addEventListener('click', () => copy(snippet(button.dataset.snippet))))
  byId('stop').addEventListener('click', () => running.abort())
}

const strip = document.querySelector('.nav')
if (strip) strip.scrollLeft = strip.querySelector('[aria-current]')?.offsetLeft - 24
localize(document)
