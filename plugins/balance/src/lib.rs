//! Chooses the endpoint: weighted round robin, least request or Maglev.
