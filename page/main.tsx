import { createRoot } from 'react-dom/client'
import { App } from './app.js'
import { SessionProvider } from './session/session.js'
import './styles/base.css'
import './styles/layout.css'
import './styles/grid.css'
import './styles/tables.css'
import './styles/channels.css'

const root = document.getElementById('root')
if (!root) throw new Error('the page has no root')
createRoot(root).render(
  <SessionProvider>
    <App />
  </SessionProvider>,
)
