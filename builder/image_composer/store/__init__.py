"""The content-addressed cache and the downloader that fills it; several builds share one cache safely."""
