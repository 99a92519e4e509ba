"""Verified files from public hosts, mirrors and package registries."""
