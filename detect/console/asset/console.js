// What a click does, by a key; and new cases announced, never pushed under the cursor. Every page works without this file.
const one = (q, el = document) => el.querySelector(q)
const all = (q, el = document) => [...el.querySelectorAll(q)]
const foot = one('footer.keys')
const on = foot && foot.dataset.keys !== 'off'

const typing = (el) => el && (el.isContentEditable || /^(TEXTAREA|SELECT)$/.test(el.tagName) ||
  (el.tagName === 'INPUT' && !/^(radio|checkbox|button|submit)$/.test(el.type)))

// The form that decides, if it is in sight: nobody decides by a key what they can't see.
const form = () => all('form.choose').find((f) => f.checkVisibility())

// choose picks the answer that stands for a key.
function choose(name, key) {
  const f = form()
  const input = f && all(`input[name=${name}]`, f).find((i) => i.dataset.key === key)
  if (!input) return false
  input.checked = true
  input.focus()
  return true
}

function decide() {
  const f = form()
  if (!f || !one('input[name=act]:checked', f)) return false
  f.requestSubmit()
  return true
}

// move takes the mark and the preview to another row of the queue.
let moving = 0
async function move(step) {
  const rows = all('table.queue tbody tr')
  const at = rows.findIndex((r) => r.classList.contains('on'))
  const to = rows[at + step]
  if (!to) return
  rows[at]?.classList.remove('on')
  rows[at]?.removeAttribute('aria-current')
  to.classList.add('on')
  to.setAttribute('aria-current', 'true')
  to.scrollIntoView({ block: 'nearest' })
  const turn = ++moving
  const url = new URL(location.href)
  url.searchParams.delete('done')
  url.searchParams.set('at', to.dataset.case)
  const answer = await fetch(url, { credentials: 'same-origin' })
  if (!answer.ok || answer.redirected) { location.assign(url); return }
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
  if (turn !== moving) return
  const fresh = one('.peek', page)
  const old = one('.peek')
  if (fresh && old) old.replaceWith(document.adoptNode(fresh))
  history.replaceState(null, '', url)
}

function press(key) {
  if (choose('act', key) || choose('why', key)) return true
  switch (key) {
    case 'j': move(1); return true
    case 'k': move(-1); return true
    case 'Enter':
      if (decide()) return true
    // falls through: with nothing chosen, Enter opens
    case 'o': {
      const link = one('table.queue tr.on td.grow a')
      if (!link) return false
      link.click()
      return true
    }
    case 'n': case '5': {
      const note = one(key === 'n' ? '#text, #note' : 'form.choose #note')
      if (!note) return false
      note.focus()
      return true
    }
    case '/': {
      const find = one('#q')
      if (!find) return false
      find.focus()
      return true
    }
    case '?': location.assign('/settings#keys'); return true
  }
  return false
}

const ways = { q: '/', r: '/rules', o: '/journal', a: '/account' }
let going = false
if (on) {
  addEventListener('keydown', (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return
    if (typing(e.target)) {
      if (e.key === 'Escape') e.target.blur()
      return
    }
    if (e.key === 'Enter' && e.target.closest?.('a, button, summary')) return
    if (going) {
      going = false
      if (ways[e.key]) { e.preventDefault(); location.assign(ways[e.key]); return }
    }
    if (e.key === 'g') { going = true; return }
    if (press(e.key)) e.preventDefault()
  })
}

// live: what the stream says is counted against what the page shows.
const live = one('[data-live]')
if (live) {
  const seen = new Set((live.dataset.seen || '').split(' '))
  const version = Number(live.dataset.version || 0)
  const stream = new EventSource(live.dataset.live)
  stream.addEventListener('queue', (e) => {
    const now = JSON.parse(e.data)
    const fresh = live.dataset.seen === undefined ? 0 : now.cases.filter((id) => !seen.has(id)).length
    const changed = version > 0 && now.version > version
    live.hidden = fresh === 0 && !changed
    const text = one('[data-text]', live)
    if (text && fresh > 0) text.textContent = text.dataset.text.replace('{n}', String(fresh))
  })
  addEventListener('pagehide', () => stream.close())
}

// the zone that the browser is in, offered, never taken by itself
const zone = one('input[data-zone]')
if (zone) {
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone
  const offer = one('[data-here]')
  if (here && offer && here !== zone.value) {
    offer.hidden = false
    offer.textContent = here
    offer.addEventListener('click', () => { zone.value = here })
  }
}

if (foot) foot.dataset.ready = 'yes'
